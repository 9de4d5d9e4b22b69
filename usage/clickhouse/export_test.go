package clickhouse

// Statements are those that make the tables which a DSN asks for.
func Statements(dsn string) ([]string, error) {
	s, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	_, all, err := s.layout.statements()
	statements := []string{s.layout.createMigrations()}
	for _, statement := range all {
		if statement != "" {
			statements = append(statements, statement)
		}
	}
	return statements, err
}
