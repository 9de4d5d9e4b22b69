package mcp

import "encoding/json"

// storedFacts are Facts as they outlive the process that found them: all that
// Merge goes by.
type storedFacts struct {
	Records        *int64       `json:"records"` // nil: unknown
	Rank           int          `json:"rank"`
	RecordsUnknown Reason       `json:"records_unknown"`
	TablesUnknown  Reason       `json:"tables_unknown"`
	Terms          []storedTerm `json:"terms"`
}

type storedTerm struct {
	Term  int      `json:"term"`
	Rank  int      `json:"rank"`
	Why   Reason   `json:"why"`
	Names []string `json:"names"`
}

// MarshalJSON writes the facts for UnmarshalJSON.
func (f Facts) MarshalJSON() ([]byte, error) {
	s := storedFacts{Rank: f.rank, RecordsUnknown: f.RecordsUnknown, TablesUnknown: f.TablesUnknown}
	if f.RecordsKnown {
		s.Records = &f.Records
	}
	for _, t := range f.terms.appendTo(nil) {
		s.Terms = append(s.Terms, storedTerm{t.term, t.rank, t.why, t.names})
	}
	return json.Marshal(s)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (f *Facts) UnmarshalJSON(b []byte) error {
	var s storedFacts
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*f = Facts{rank: s.Rank, RecordsUnknown: s.RecordsUnknown, TablesUnknown: s.TablesUnknown}
	if s.Records != nil {
		f.Records, f.RecordsKnown = *s.Records, true
	}
	for _, t := range s.Terms {
		f.terms.add(foundTerm{t.Term, t.Rank, t.Why, t.Names})
	}
	f.sumUp()
	return nil
}
