package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository is a git repository with a module whose one function is measured.
type repository struct {
	t   *testing.T
	dir string
}

func newRepository(t *testing.T) *repository {
	for name, value := range map[string]string{
		"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_SYSTEM": os.DevNull, "GOFLAGS": "", "GOWORK": "off",
		"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com",
	} {
		t.Setenv(name, value)
	}
	r := &repository{t, t.TempDir()}
	r.git("init", "--quiet")
	// In a folder of its own, as a module may be.
	r.write("go.mod", "module example.com/fixture\n\ngo 1.26\n")
	r.write("work/work_test.go", `package work

import "testing"

func BenchmarkWork(b *testing.B) {
	for _, size := range []int{1, 2} {
		b.Run(map[int]string{1: "small", 2: "large"}[size], func(b *testing.B) {
			for b.Loop() {
				Work(size)
			}
		})
	}
}
`)
	r.work(1000, "")
	return r
}

// work writes the function: so many rounds for large, and a statement.
func (r *repository) work(rounds int, statement string) {
	r.write("work/work.go", strings.NewReplacer("ROUNDS", strings.Repeat("spin();", rounds/1000), "STATEMENT", statement).Replace(`package work

var (
	sum  uint64
	kept *[64]byte
)

// Work is what is measured.
func Work(size int) {
	spin()
	if size == 2 {
		ROUNDS
		STATEMENT
	}
}

func spin() {
	for i := range uint64(1000) {
		sum = sum*31 + i
	}
}

var _ = kept
`))
}

func (r *repository) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, "module", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *repository) git(args ...string) {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

func (r *repository) commit(message string) {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "--quiet", "--allow-empty", "-m", message)
}

// check compares, and wants an error that says all of these, or none. It returns
// what was printed, and the error's text.
func (r *repository) check(want ...string) (out, failed string) {
	r.t.Helper()
	var b strings.Builder
	err := check(r.t.Context(), options{
		dir: filepath.Join(r.dir, "module"), targets: []target{{"./work", "Work"}}, benchtime: "2000x", rounds: 3, again: 1, allowance: 4,
	}, &b)
	if err == nil && len(want) > 0 {
		r.t.Fatalf("nothing is wrong, want %q\n%s", want, &b)
	}
	if err != nil && len(want) == 0 {
		r.t.Fatalf("%v\n%s", err, &b)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			r.t.Errorf("the error is %q, want %q in it", err, w)
		}
	}
	trees, err := git(r.t.Context(), r.dir, "worktree", "list")
	if err != nil || strings.Contains(trees, "\n") {
		r.t.Errorf("work trees are left: %q, %v", trees, err)
	}
	if err != nil {
		failed = err.Error()
	}
	return b.String(), failed
}

func TestCheck(t *testing.T) {
	r := newRepository(t)
	r.commit("the first")
	if out, _ := r.check(); !strings.Contains(out, "first commit") {
		t.Errorf("of the first commit it says %q", out)
	}

	// The same code, committed and not.
	r.commit("nothing")
	r.check()
	r.write("note.txt", "something")
	r.check()

	// An allocation more, committed and not, and allowed.
	r.work(1000, "kept = new([64]byte)")
	r.check("BenchmarkWork/large allocates 1 times, and did 0")
	r.commit("More memory\n\nBench-allows: BenchmarkWork/small")
	r.check("BenchmarkWork/large allocates", "Bench-allows: BenchmarkWork/large")
	r.git("commit", "--quiet", "--amend", "-m", "More memory\n\nBench-allows: BenchmarkWork\n")
	if out, _ := r.check(); !strings.Contains(out, "allowed by the commit's message: BenchmarkWork/large") {
		t.Errorf("it does not say what is allowed:\n%s", out)
	}

	// An allocation less, and a hundred times the work.
	r.work(100_000, "")
	r.commit("Slower")
	if _, failed := r.check("BenchmarkWork/large takes"); strings.Contains(failed, "small takes") {
		t.Errorf("what is not slower is said to be: %s", failed)
	}

	// What one side lacks.
	r.write("work/more_test.go", "package work\n\nimport \"testing\"\n\nfunc BenchmarkWorkMore(b *testing.B) {\n\tfor b.Loop() {\n\t\tWork(1)\n\t}\n}\n")
	r.commit("One more")
	if out, _ := r.check(); !strings.Contains(out, "new") {
		t.Errorf("it does not list a new benchmark:\n%s", out)
	}

	clone := &repository{t, filepath.Join(t.TempDir(), "clone")}
	r.git("clone", "--quiet", "--depth=1", "file://"+r.dir, clone.dir)
	clone.check("git fetch --deepen=1")
	clone.git("fetch", "--quiet", "--deepen=1")
	clone.check()
}
