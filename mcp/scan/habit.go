package scan

import (
	"hash/maphash"
	"sync/atomic"
)

// Habit is what the results of one tool have had in common so far. The
// specification asks servers to repeat structured content as JSON in a text (MCP
// 2025-11-25, server features, tools, structured content), so most results
// contain everything twice, the text first. Checking every token of that JSON
// takes ten times as long as skipping it by its quotes and brackets. The check
// is not needed if structured content follows: the count is then taken from the
// structured content, and the text only has to agree.
//
// When the text passes, it is not known yet whether structured content will
// follow. So if one result of a tool had both, checked and in agreement, the
// next is assumed to have both, too. If it has not, its count is unknown
// (Unchecked), and from then on every text of the tool is checked.
//
// Only the default rule uses habits: an operator's rule may refer to the text
// itself. The zero Habit assumes nothing and learns nothing.
type Habit struct {
	slot *atomic.Uint64
	tag  uint64 // of the tool
}

// A slot holds one of these in the low bits of its tag.
const (
	habitNone  = iota // nothing is known
	habitBoth         // the structured content has repeated the text
	habitMixed        // it has not always done so
	habitMask  = 3
)

// habits is a fixed-size cache of habits. The hash of a tool's name selects the
// slot; a tool that hashes to the same slot replaces the one before.
type habits [1024]atomic.Uint64

// of returns the habit of a tool.
func (h *habits) of(tool string) Habit {
	sum := maphash.String(hashSeed, tool)
	return Habit{&h[sum%uint64(len(h))], sum &^ habitMask}
}

// Habit returns the habit of a tool whose extractor is e. It is the zero Habit
// unless e is the default rule's.
func (x *Extractors) Habit(tool string, e *Extractor) Habit {
	if e == nil || !e.isDefault() {
		return Habit{}
	}
	return x.habits.of(tool)
}

// repeats reports whether structured content is expected to repeat the texts.
func (h Habit) repeats() bool { return h.slot != nil && h.slot.Load() == h.tag|habitBoth }

// learn updates the habit with the rows of a result, as the structured content
// and the texts give them. unchecked is set if a text was not checked.
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
