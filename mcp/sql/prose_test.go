package sql

import "testing"

// prose are texts that an argument called query may hold and that are no SQL.
var prose = []string{
	"Describe the architecture of the payment service", "describe what happened last week in the build", "describe user authentication flow in detail",
	"Delete from cart", "delete the file from cart", "delete all temporary files from my computer", "delete from history everything before May",
	"Show me select * from users", "show all orders of the last month", "Show the tables", "show revenue by region",
	"select the best table from the catalog please", "select a plan from the list", "Select items from the list where price is low",
	"Select one from each group", "select all users from our database", "select everything from that table", "select jobs from home",
	"Select name from my contacts who live in Paris", "select a good restaurant from these options, please", "SELECT the right tool FROM the toolbox",
	"update on the merger", "update the docs set up guide", "update my profile set picture", "Update: the server is down again", "update chrome set as default",
	"insert coin to continue", "insert into the discussion what was said", "insert image into word document", "Insert a table into the page (two columns)",
	"create a table for users", "create table of contents", "create table for two at eight", "create view of the city", "create index cards for study",
	"create user stories from the requirements", "create function in excel", "CREATE a new project, then invite the team",
	"drop shipping from china", "drop table tennis lessons near me", "drop the table from the list", "alter table tennis rules", "alter ego",
	"with regards to table 5", "with love from me", "With AI as the driver (and data as the fuel), select companies win",
	"from the desk of the ceo", "from here to eternity", "From: bob To: alice Subject: select * from users", "from paris with love",
	"explain plan for retirement", "explain the users table", "explain how joins work in sql", "Explain this: SELECT * FROM users WHERE id = 1",
	"explain quantum computing", "table tennis", "table for two", "values of the company", "use of force in law", "use the users table",
	"merge into traffic", "merge branch main into dev using rebase", "copy machine from xerox", "copy the file to the server", "copy paste into excel",
	"truncate text in css", "truncate the output after 80 characters", "replace windshield", "replace into english please", "rename table of contents to index",
	"grant me access on weekends to the office", "Grant, Ulysses S.", "comment on the article", "analyze the sales data", "analyze sales data by region",
	"vacuum cleaner reviews", "optimize table layout in html", "refresh page", "lock the door", "call me tomorrow", "execute order 66", "begin with the end in mind",
	"set the table for dinner", "set a timer for 5 minutes", "start a new game", "commit to main", "load balancer", "list all open pull requests",
	"weather in Paris tomorrow", "What's new in Go 1.26?", "how many users are there", "users", "42", "...", "?", "(see above)", "(a, b, c)", "((", "'", `"quoted text"`, "-- a comment", "/* a comment */",
	"What is the difference between DELETE FROM t and TRUNCATE TABLE t?", "Why does SELECT * FROM t not use an index?",
	"The query `SELECT * FROM orders` is slow; what can I do?", "Please run:\nSELECT * FROM orders",
	`{"query": {"match_all": {}}}`, `{"find": "users", "filter": {"age": {"$gt": 5}}}`, `[{"$match": {"a": 1}}, {"$lookup": {"from": "b"}}]`,
	"db.orders.find({})", "project = ABC AND status = Open ORDER BY created DESC", "assignee in (currentUser()) and labels not in (x)",
	"MATCH (n:Person)-[:KNOWS]->(m) RETURN n", "query { user(id: 1) { name } }", "mutation { deleteUser(id: 1) }", "fragment f on User { id }",
	"title:\"the right way\" AND text:go", "user:bob is:open label:bug", "up{job=\"x\"}", "sum(rate(http_requests_total[5m])) by (job)", "* | where x > 1 | stats count by y",
	"source=main | fields a, b", "index=web status=500 | timechart count", "from(bucket: \"b\") |> range(start: -1h) |> filter(fn: (r) => r.a == 1)",
	"let x = 1; x + 1", "function f() { return 1; }", "import os\nfor x in y:\n    print(x)", "SELECT ?s WHERE { ?s ?p ?o }", "PREFIX a: <b> SELECT ?s WHERE { ?s a ?o }",
	"GET /users/1", "cat file | grep x", "FT.SEARCH idx \"@title:foo\"", "HGETALL user:1", "https://example.com/select?from=x", "<table><tr><td>a</td></tr></table>",
	"", " ", ";", ";;", "\x00", "\xff\xfe", "Ünïcode ist schön", "数据库里有多少用户", "выбери всё из таблицы",
}

// TestProse makes sure that no prose names a table, or only weakly where its
// words are also a statement.
func TestProse(t *testing.T) {
	for _, text := range prose {
		if got := Read(Generic, []byte(text)); got.Status == Known && len(got.Tables) > 0 && !got.Weak {
			t.Errorf("%q names %q", text, got.Tables)
		}
	}
}

// TestWeak has statements of bare words alone, and others that are not.
func TestWeak(t *testing.T) {
	for query, want := range map[string]bool{
		"describe architecture": true, "delete from cart": true, "DELETE FROM cart": true, "show tables": true, "select name from users": true,
		"SELECT name FROM users": false, "select * from users": false, "select name from users where id = 1": false, "drop table a, b": false,
	} {
		got := Read(Generic, []byte(query))
		if got.Status != Known || got.Weak != want {
			t.Errorf("%q: %v, weak %v, want %v", query, got.Status, got.Weak, want)
		}
		if got := Read(Postgres, []byte(query)); got.Weak {
			t.Errorf("%q is weak in a known dialect", query)
		}
	}
}
