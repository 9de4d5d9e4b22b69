//go:build !amd64 || purego

package jsonskip

func withoutVector(f func()) { f() }
