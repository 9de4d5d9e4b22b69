package sql

// keyword is a word that means something to the reader; none is any other.
type keyword uint8

const (
	kwNone keyword = iota
	// Clauses of a query.
	kwSelect
	kwFrom
	kwWhere
	kwPrewhere
	kwGroup
	kwHaving
	kwQualify
	kwWindow
	kwOrder
	kwLimit
	kwOffset
	kwFetch
	kwFor
	kwInto
	kwUnion
	kwIntersect
	kwExcept
	kwMinus
	kwConnect
	kwStart
	kwCluster
	kwDistribute
	kwSort
	kwSettings
	kwFormat
	kwOption
	kwWith
	kwValues
	kwTable
	kwRecursive
	// Joins and what stands behind a table.
	kwJoin
	kwStraightJoin
	kwApply
	kwLeft
	kwRight
	kwFull
	kwInner
	kwOuter
	kwCross
	kwNatural
	kwSemi
	kwAnti
	kwAsof
	kwAny
	kwAll
	kwGlobal
	kwPositional
	kwArray
	kwLateral
	kwView
	kwOn
	kwUsing
	kwAs
	kwOnly
	kwRows
	kwFinal
	kwSample
	kwTablesample
	kwPivot
	kwUnpivot
	kwMatchRecognize
	kwPartition
	kwUse
	kwForce
	kwIgnore
	kwIndexed
	kwAt
	kwBefore
	kwChanges
	kwVersion
	kwTimestamp
	kwUnnest
	// Expressions.
	kwAnd
	kwOr
	kwXor
	kwNot
	kwIn
	kwIs
	kwNull
	kwLike
	kwBetween
	kwDistinct
	kwExists
	kwCase
	kwWhen
	kwThen
	kwElse
	kwEnd
	kwBy
	kwOver
	kwTop
	kwExpression // any other word of expressions
	// Statements.
	kwInsert
	kwReplace
	kwUpdate
	kwDelete
	kwMerge
	kwSet
	kwReturning
	kwOutput
	kwCreate
	kwAlter
	kwDrop
	kwClone
	kwCopy
	kwInherits
	kwInherit
	kwReferences
	kwTo
	kwRename
	kwSwap
	kwExchange
	kwAttach
	kwDetach
	kwSwitch
	kwMove
	kwOf
	kwHistoryTable
	kwEngine
	kwAppend
	kwExplain
	kwDescribe
	kwDesc
	kwSummarize
	kwStatement // any other first word of a statement
)

// What a keyword is like.
const (
	reserved   = 1 << iota // it is no alias and no name without quotes
	unfinished             // nothing can end behind it
	inside                 // a word of expressions, which no alias stands before
	starts                 // a statement may begin with it
)

type keywordEntry struct {
	text string
	word keyword
	like uint8
}

var keywordList = []keywordEntry{
	{"SELECT", kwSelect, reserved | unfinished | starts},
	{"FROM", kwFrom, reserved | unfinished | starts},
	{"WHERE", kwWhere, reserved | unfinished},
	{"PREWHERE", kwPrewhere, reserved | unfinished},
	{"GROUP", kwGroup, reserved | unfinished},
	{"HAVING", kwHaving, reserved | unfinished},
	{"QUALIFY", kwQualify, unfinished},
	{"WINDOW", kwWindow, 0},
	{"ORDER", kwOrder, reserved | unfinished},
	{"LIMIT", kwLimit, 0},
	{"OFFSET", kwOffset, 0},
	{"FETCH", kwFetch, 0},
	{"FOR", kwFor, reserved | unfinished},
	{"INTO", kwInto, reserved | unfinished},
	{"UNION", kwUnion, reserved | unfinished},
	{"INTERSECT", kwIntersect, reserved | unfinished},
	{"EXCEPT", kwExcept, reserved | unfinished},
	{"MINUS", kwMinus, 0},
	{"CONNECT", kwConnect, 0},
	{"START", kwStart, starts},
	{"CLUSTER", kwCluster, starts},
	{"DISTRIBUTE", kwDistribute, 0},
	{"SORT", kwSort, 0},
	{"SETTINGS", kwSettings, 0},
	{"FORMAT", kwFormat, 0},
	{"OPTION", kwOption, 0},
	{"WITH", kwWith, reserved | starts},
	{"VALUES", kwValues, starts},
	{"TABLE", kwTable, reserved | starts},
	{"RECURSIVE", kwRecursive, 0},
	{"JOIN", kwJoin, reserved | unfinished},
	{"STRAIGHT_JOIN", kwStraightJoin, reserved | unfinished},
	{"APPLY", kwApply, 0},
	{"LEFT", kwLeft, reserved},
	{"RIGHT", kwRight, reserved},
	{"FULL", kwFull, 0},
	{"INNER", kwInner, reserved},
	{"OUTER", kwOuter, 0},
	{"CROSS", kwCross, reserved},
	{"NATURAL", kwNatural, reserved},
	{"SEMI", kwSemi, 0},
	{"ANTI", kwAnti, 0},
	{"ASOF", kwAsof, 0},
	{"ANY", kwAny, inside},
	{"ALL", kwAll, inside},
	{"GLOBAL", kwGlobal, 0},
	{"POSITIONAL", kwPositional, 0},
	{"ARRAY", kwArray, inside},
	{"LATERAL", kwLateral, 0},
	{"VIEW", kwView, 0},
	{"ON", kwOn, reserved | unfinished},
	{"USING", kwUsing, reserved | unfinished},
	{"AS", kwAs, reserved | unfinished},
	{"ONLY", kwOnly, 0},
	{"ROWS", kwRows, inside},
	{"FINAL", kwFinal, 0},
	{"SAMPLE", kwSample, 0},
	{"TABLESAMPLE", kwTablesample, reserved},
	{"PIVOT", kwPivot, starts},
	{"UNPIVOT", kwUnpivot, starts},
	{"MATCH_RECOGNIZE", kwMatchRecognize, reserved},
	{"PARTITION", kwPartition, inside},
	{"USE", kwUse, starts},
	{"FORCE", kwForce, 0},
	{"IGNORE", kwIgnore, inside},
	{"INDEXED", kwIndexed, 0},
	{"AT", kwAt, inside},
	{"BEFORE", kwBefore, 0},
	{"CHANGES", kwChanges, 0},
	{"VERSION", kwVersion, 0},
	{"TIMESTAMP", kwTimestamp, inside},
	{"UNNEST", kwUnnest, 0},
	{"AND", kwAnd, reserved | unfinished | inside},
	{"OR", kwOr, reserved | unfinished | inside},
	{"XOR", kwXor, inside},
	{"NOT", kwNot, reserved | unfinished | inside},
	{"IN", kwIn, reserved | unfinished | inside},
	{"IS", kwIs, unfinished | inside},
	{"NULL", kwNull, reserved | inside},
	{"LIKE", kwLike, reserved | unfinished | inside},
	{"BETWEEN", kwBetween, reserved | unfinished | inside},
	{"DISTINCT", kwDistinct, reserved | inside},
	{"EXISTS", kwExists, inside},
	{"CASE", kwCase, reserved | unfinished | inside},
	{"WHEN", kwWhen, reserved | unfinished | inside},
	{"THEN", kwThen, reserved | unfinished | inside},
	{"ELSE", kwElse, reserved | unfinished | inside},
	{"END", kwEnd, inside | starts},
	{"BY", kwBy, unfinished | inside},
	{"OVER", kwOver, inside},
	{"TOP", kwTop, inside},
	{"INSERT", kwInsert, starts},
	{"REPLACE", kwReplace, starts},
	{"UPDATE", kwUpdate, starts},
	{"DELETE", kwDelete, starts},
	{"MERGE", kwMerge, starts},
	{"SET", kwSet, reserved | unfinished | starts},
	{"RETURNING", kwReturning, unfinished},
	{"OUTPUT", kwOutput, 0},
	{"CREATE", kwCreate, reserved | unfinished | starts},
	{"ALTER", kwAlter, unfinished | starts},
	{"DROP", kwDrop, unfinished | starts},
	{"CLONE", kwClone, 0},
	{"COPY", kwCopy, starts},
	{"INHERITS", kwInherits, 0},
	{"INHERIT", kwInherit, 0},
	{"REFERENCES", kwReferences, 0},
	{"TO", kwTo, 0},
	{"RENAME", kwRename, starts},
	{"SWAP", kwSwap, 0},
	{"EXCHANGE", kwExchange, starts},
	{"ATTACH", kwAttach, starts},
	{"DETACH", kwDetach, starts},
	{"SWITCH", kwSwitch, 0},
	{"MOVE", kwMove, 0},
	{"OF", kwOf, 0},
	{"HISTORY_TABLE", kwHistoryTable, 0},
	{"ENGINE", kwEngine, 0},
	{"APPEND", kwAppend, 0},
	{"EXPLAIN", kwExplain, starts},
	{"DESCRIBE", kwDescribe, starts},
	{"DESC", kwDesc, inside | starts},
	{"SUMMARIZE", kwSummarize, starts},
}

func init() {
	for _, list := range []struct {
		words string
		word  keyword
		like  uint8
	}{
		{"ILIKE RLIKE REGEXP GLOB SIMILAR ESCAPE COLLATE DIV MOD", kwExpression, inside | unfinished},
		{"INTERVAL TRUE FALSE UNKNOWN NULLS FIRST LAST ASC ROW RANGE GROUPS PRECEDING FOLLOWING UNBOUNDED CURRENT TIME ZONE", kwExpression, inside},
		{"WITHIN FILTER RESPECT NEXT PRIOR PRECISION VARYING SOME MEMBER ISNULL NOTNULL OVERLAPS GROUPING SETS CUBE ROLLUP TIES", kwExpression, inside},
		{"DATE DATETIME BINARY UNSIGNED SIGNED EXCLUDE KEEP PERCENT DEFAULT CONFLICT DUPLICATE KEY NOTHING DO MATCHED SOURCE TARGET MATCH", kwExpression, inside},
		{"DAY HOUR MINUTE SECOND MONTH YEAR WEEK QUARTER TOTALS FILL STEP INTERPOLATE JSON CONSTRAINT SYMMETRIC ASYMMETRIC OVERRIDING VALUE SYSTEM UNIQUE KEYS WITHOUT SCALAR", kwExpression, inside},
		{"TRUNCATE COMMENT GRANT REVOKE ANALYZE ANALYSE VACUUM OPTIMIZE REINDEX REFRESH LOCK UNLOCK CHECK CHECKSUM REPAIR CACHE UNCACHE MSCK SHOW PRAGMA", kwStatement, starts},
		{"RESET BEGIN COMMIT ROLLBACK SAVEPOINT RELEASE ABORT UNDROP KILL DECLARE CALL EXEC EXECUTE PREPARE DEALLOCATE LISTEN NOTIFY UNLISTEN DISCARD", kwStatement, starts},
		{"CHECKPOINT INSTALL LOAD EXPORT IMPORT PRINT IF WHILE GO FLUSH HANDLER UNLOAD PUT GET LIST LS REMOVE RM SYSTEM CLOSE OPEN SECURITY UPSERT", kwStatement, starts},
	} {
		for len(list.words) > 0 {
			n := 0
			for n < len(list.words) && list.words[n] != ' ' {
				n++
			}
			keywordList = append(keywordList, keywordEntry{list.words[:n], list.word, list.like})
			list.words = list.words[min(n+1, len(list.words)):]
		}
	}
	for i, e := range keywordList {
		h := uint32(hashSeed)
		for j := range len(e.text) {
			h = hashByte(h, e.text[j]|0x20)
		}
		slot := h % uint32(len(keywordTable))
		for keywordTable[slot] != 0 {
			slot = (slot + 1) % uint32(len(keywordTable))
		}
		keywordTable[slot] = uint16(i + 1)
	}
}

// keywordTable is a hash table of keywordList, by words in lower case.
var keywordTable [1024]uint16

const hashSeed = 2166136261

// hashByte adds a byte to a hash (FNV-1a).
func hashByte(h uint32, c byte) uint32 { return (h ^ uint32(c)) * 16777619 }

// findKeyword returns the keyword that a word is, whose hash in lower case is h,
// and what it is like.
func findKeyword(word []byte, h uint32) (keyword, uint8) {
	for slot := h % uint32(len(keywordTable)); keywordTable[slot] != 0; slot = (slot + 1) % uint32(len(keywordTable)) {
		if e := &keywordList[keywordTable[slot]-1]; equalFold(word, e.text) {
			return e.word, e.like
		}
	}
	return kwNone, 0
}

// equalFold reports whether a word is a given word, which is in upper case, in
// any letter case.
func equalFold(word []byte, upper string) bool {
	if len(word) != len(upper) {
		return false
	}
	for i, c := range word {
		if c != upper[i] && (c < 'a' || c > 'z' || c&^0x20 != upper[i]) {
			return false
		}
	}
	return true
}
