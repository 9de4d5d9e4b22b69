package quota

// Accounts returns how many keys a Limiter has accounts for.
func (l *Limiter) Accounts() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.accounts)
}
