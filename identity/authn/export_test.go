package authn

// Cached returns how many keys an Authority has cached.
func (a *Authority) Cached() (n int) {
	for i := range a.cache {
		a.cache[i].mu.RLock()
		n += len(a.cache[i].entries)
		a.cache[i].mu.RUnlock()
	}
	return n
}

// FloodClients returns how many clients an Authority remembers for keys that do
// not exist.
func (a *Authority) FloodClients() int { return a.flood.misses.Len() }

// EvictAll empties the cache of an Authority.
func (a *Authority) EvictAll() {
	a.generation.Add(1)
	for i := range a.cache {
		a.cache[i].evictAll(func(*Principal) bool { return true })
	}
}
