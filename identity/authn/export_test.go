package identity

// Known is how many keys an Authority remembers.
func (a *Authority) Known() (n int) {
	for i := range a.known {
		a.known[i].mu.RLock()
		n += len(a.known[i].entries)
		a.known[i].mu.RUnlock()
	}
	return n
}

// Clients is how many clients an Authority remembers for keys that do not exist.
func (a *Authority) Clients() int {
	a.flood.mu.Lock()
	defer a.flood.mu.Unlock()
	return len(a.flood.whole)
}

// Accounts is how many keys a Limiter remembers.
func (l *Limiter) Accounts() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.accounts)
}

// Forget makes an Authority forget all keys.
func (a *Authority) Forget() {
	a.generation.Add(1)
	for i := range a.known {
		a.known[i].forgetAll(func(*Principal) bool { return true })
	}
}
