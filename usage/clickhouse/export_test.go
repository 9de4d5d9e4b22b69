package clickhouse

// Statements returns those that make the tables for a DSN.
func Statements(dsn string) ([]string, error) {
	s, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	all, err := s.layout.migrations()
	statements := []string{s.layout.createMigrations()}
	for _, m := range all {
		if m.statement != "" {
			statements = append(statements, m.statement)
		}
	}
	return statements, err
}
