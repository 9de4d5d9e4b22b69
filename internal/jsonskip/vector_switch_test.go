//go:build amd64 && !purego

package jsonskip

// withoutVector runs f with the portable code.
func withoutVector(f func()) {
	defer func(was bool) { useVector = was }(useVector)
	useVector = false
	f()
}
