package commands

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/tallygate/tallygate/mcp/scan"
)

// rulesOfGates returns the rules of each gate in an adapted config, in the order of
// the config's JSON with its names sorted.
func rulesOfGates(config []byte) (all [][]scan.Rule, err error) {
	if config == nil {
		return nil, nil
	}
	var root any
	if err := json.Unmarshal(config, &root); err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	for _, handler := range appendGates(nil, root) {
		rules, err := host.RulesOf(handler)
		if err != nil {
			return nil, err
		}
		all = append(all, rules)
	}
	return all, nil
}

// appendGates appends the JSON of the tallygate handlers in a part of a config.
func appendGates(gates [][]byte, part any) [][]byte {
	switch part := part.(type) {
	case []any:
		for _, p := range part {
			gates = appendGates(gates, p)
		}
	case map[string]any:
		if part["handler"] == "tallygate" {
			handler, _ := json.Marshal(part) // it has just been read
			return append(gates, handler)
		}
		for _, name := range slices.Sorted(maps.Keys(part)) {
			gates = appendGates(gates, part[name])
		}
	}
	return gates
}
