package scan

import (
	"hash/maphash"
	"sync/atomic"
)

// Habit is what the results of one tool had in common so far. The specification
// asks servers to repeat structured content as JSON in a text (MCP 2025-11-25,
// server features, tools, structured content), so most results say everything
// twice, text first. To check every token of that JSON costs ten times as much
// as to pass over it by its quotes and brackets. It need not be checked where
// the structured content follows: the count is then that of the structured
// content, and the text a second sign that has to agree.
//
// Whether it follows is not known yet when the text passes. So a tool whose
// result had both, checked and in agreement, is taken to do so again. The first
// result that does not makes its count unknown (Unchecked), and from then on
// each text of the tool is checked.
//
// Only the default rule has habits: an operator's rule may mean the text. The
// zero Habit knows nothing and learns nothing.
type Habit struct {
	slot *atomic.Uint64
	tag  uint64 // of the tool
}

// What a slot holds beside the tag of its tool.
const (
	habitNone  = iota // nothing is known
	habitBoth         // the structured content repeats the text
	habitMixed        // not always
	habitMask  = 3
)

// habits are the habits of tools, each at the place that its name's hash says,
// where the next one takes it over.
type habits [1024]atomic.Uint64

// of returns the habit of a tool.
func (h *habits) of(tool string) Habit {
	sum := maphash.String(hashSeed, tool)
	return Habit{&h[sum%uint64(len(h))], sum &^ habitMask}
}

// Habit returns the habit of a tool whose extractor is e.
func (x *Extractors) Habit(tool string, e *Extractor) Habit {
	if e == nil || !e.isDefault() {
		return Habit{}
	}
	return x.habits.of(tool)
}

// repeats reports whether the structured content will repeat the texts.
func (h Habit) repeats() bool { return h.slot != nil && h.slot.Load() == h.tag|habitBoth }

// learn takes in a result whose rows are known from the structured content, from
// the texts, or from both; unchecked says that the texts were not checked.
func (h Habit) learn(structured, text count, unchecked bool) {
	if h.slot == nil {
		return
	}
	agree := structured.Known && text.Known && structured.Number == text.Number
	switch {
	case unchecked && !agree:
		h.slot.Store(h.tag | habitMixed)
	case !unchecked && agree && h.slot.Load()&^habitMask != h.tag:
		h.slot.Store(h.tag | habitBoth)
	}
}
