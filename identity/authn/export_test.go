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

// Remembered returns how many networks and unknown keys an Authority remembers.
func (a *Authority) Remembered() (networks, keys int) {
	return a.queue.networks.Len(), a.queue.unknown.Len()
}

// EvictAll empties the cache of an Authority.
func (a *Authority) EvictAll() {
	a.generation.Add(1)
	for i := range a.cache {
		a.cache[i].evictAll(func(*Principal) bool { return true })
	}
}
