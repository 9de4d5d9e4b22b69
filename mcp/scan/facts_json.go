package scan

import "encoding/json"

// storedFacts is the JSON form of Facts, for calls that end in another process.
// It has all that Merge needs.
type storedFacts struct {
	Counts        counts       `json:"counts"`
	TablesUnknown Reason       `json:"tables_unknown"`
	Terms         []storedTerm `json:"terms"`
}

type storedTerm struct {
	Term  int      `json:"term"`
	Rank  int      `json:"rank"`
	Why   Reason   `json:"why"`
	Names []string `json:"names"`
	Weak  bool     `json:"weak,omitempty"`
}

// MarshalJSON encodes the facts for UnmarshalJSON.
func (f Facts) MarshalJSON() ([]byte, error) {
	s := storedFacts{Counts: f.counts, TablesUnknown: f.TablesUnknown}
	for _, t := range f.terms.appendTo(nil) {
		s.Terms = append(s.Terms, storedTerm{t.term, t.rank, t.why, t.names, t.weak})
	}
	return json.Marshal(s)
}

// UnmarshalJSON decodes facts that MarshalJSON encoded.
func (f *Facts) UnmarshalJSON(b []byte) error {
	var s storedFacts
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*f = Facts{counts: s.Counts, TablesUnknown: s.TablesUnknown}
	for _, t := range s.Terms {
		f.terms.add(foundTerm{t.Term, t.Rank, t.Why, t.Names, t.Weak})
	}
	f.summarize()
	return nil
}
