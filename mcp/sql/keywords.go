package sql

import "strings"

// keyword is a word that means something here; 0 is any other.
type keyword uint8

const (
	kwNone keyword = iota
	kwAll
	kwAlter
	kwAnalyze
	kwAnti
	kwAny
	kwApply
	kwArray
	kwAs
	kwAsof
	kwAttach
	kwBegin
	kwBy
	kwCache
	kwCall
	kwCascade
	kwCase
	kwClone
	kwColumn
	kwColumns
	kwComment
	kwCommit
	kwConnect
	kwCopy
	kwCreate
	kwCross
	kwDatabase
	kwDelete
	kwDesc
	kwDescribe
	kwDistinct
	kwDrop
	kwElse
	kwEnd
	kwExcept
	kwExec
	kwExists
	kwExplain
	kwExtended
	kwFetch
	kwFinal
	kwFor
	kwFormat
	kwFormatted
	kwFrom
	kwFull
	kwGlobal
	kwGrant
	kwGroup
	kwHaving
	kwHistory
	kwHistoryTable
	kwIf
	kwIgnore
	kwIn
	kwIndex
	kwInherit
	kwInherits
	kwInner
	kwInsert
	kwIntersect
	kwInto
	kwIs
	kwJoin
	kwLateral
	kwLeft
	kwLike
	kwLimit
	kwMaterialized
	kwMerge
	kwMinus
	kwNatural
	kwNot
	kwOf
	kwOffset
	kwOn
	kwOnly
	kwOptimize
	kwOr
	kwOrder
	kwOuter
	kwOutput
	kwOverwrite
	kwPartition
	kwPivot
	kwPragma
	kwPrewhere
	kwQualify
	kwRecursive
	kwReferences
	kwRefresh
	kwRename
	kwReplace
	kwReturning
	kwRevoke
	kwRight
	kwRollback
	kwSample
	kwSelect
	kwSemi
	kwSet
	kwSettings
	kwShow
	kwStraight
	kwSummarize
	kwTable
	kwTables
	kwTablesample
	kwTemp
	kwThen
	kwTo
	kwTop
	kwTruncate
	kwUnion
	kwUnnest
	kwUnpivot
	kwUpdate
	kwUse
	kwUsing
	kwVacuum
	kwValues
	kwView
	kwWhen
	kwWhere
	kwWindow
	kwWith
	kwOther // a word that cannot be an alias, or stands in a row of words, and is nothing else
)

var keywords = map[string]keyword{
	"ALL": kwAll, "ALTER": kwAlter, "ANALYZE": kwAnalyze, "ANTI": kwAnti, "ANY": kwAny, "APPLY": kwApply,
	"ARRAY": kwArray, "AS": kwAs, "ASOF": kwAsof, "ATTACH": kwAttach, "BEGIN": kwBegin, "BY": kwBy, "CACHE": kwCache,
	"CALL": kwCall, "CASCADE": kwCascade, "CASE": kwCase, "CLONE": kwClone, "COLUMN": kwColumn, "COLUMNS": kwColumns,
	"COMMENT": kwComment, "COMMIT": kwCommit, "CONNECT": kwConnect, "COPY": kwCopy, "CREATE": kwCreate, "CROSS": kwCross,
	"DATABASE": kwDatabase, "DELETE": kwDelete, "DESC": kwDesc, "DESCRIBE": kwDescribe, "DISTINCT": kwDistinct, "DROP": kwDrop,
	"ELSE": kwElse, "END": kwEnd, "EXCEPT": kwExcept, "EXEC": kwExec, "EXECUTE": kwExec, "EXISTS": kwExists, "EXPLAIN": kwExplain,
	"EXTENDED": kwExtended, "FETCH": kwFetch, "FINAL": kwFinal, "FOR": kwFor, "FORMAT": kwFormat, "FORMATTED": kwFormatted,
	"FROM": kwFrom, "FULL": kwFull, "GLOBAL": kwGlobal, "GRANT": kwGrant, "GROUP": kwGroup, "HAVING": kwHaving, "HISTORY": kwHistory, "HISTORY_TABLE": kwHistoryTable,
	"IF": kwIf, "IGNORE": kwIgnore, "IN": kwIn, "INDEX": kwIndex, "INNER": kwInner, "INSERT": kwInsert, "INTERSECT": kwIntersect,
	"INTO": kwInto, "IS": kwIs, "JOIN": kwJoin, "LATERAL": kwLateral, "LEFT": kwLeft, "LIKE": kwLike, "ILIKE": kwOther, "LIMIT": kwLimit,
	"MATERIALIZED": kwMaterialized, "MERGE": kwMerge, "MINUS": kwMinus, "NATURAL": kwNatural, "NOT": kwNot, "OFFSET": kwOffset,
	"ON": kwOn, "ONLY": kwOnly, "OPTIMIZE": kwOptimize, "OR": kwOr, "ORDER": kwOrder, "OUTER": kwOuter, "OUTPUT": kwOutput,
	"OVERWRITE": kwOverwrite, "PIVOT": kwPivot, "PRAGMA": kwPragma, "PREWHERE": kwPrewhere, "QUALIFY": kwQualify,
	"RECURSIVE": kwRecursive, "REFERENCES": kwReferences, "REFRESH": kwRefresh, "RENAME": kwRename, "REPLACE": kwReplace,
	"RETURNING": kwReturning, "REVOKE": kwRevoke, "RIGHT": kwRight, "ROLLBACK": kwRollback, "SAMPLE": kwSample, "SELECT": kwSelect,
	"SEMI": kwSemi, "SET": kwSet, "SETTINGS": kwSettings, "SHOW": kwShow, "STRAIGHT_JOIN": kwStraight, "SUMMARIZE": kwSummarize,
	"TABLE": kwTable, "TABLES": kwTables, "TABLESAMPLE": kwTablesample, "TEMP": kwTemp, "TEMPORARY": kwTemp, "THEN": kwThen,
	"TO": kwTo, "TOP": kwTop, "TRUNCATE": kwTruncate, "UNION": kwUnion, "UNNEST": kwUnnest, "UNPIVOT": kwUnpivot, "UPDATE": kwUpdate,
	"USE": kwUse, "USING": kwUsing, "VACUUM": kwVacuum, "VALUES": kwValues, "VIEW": kwView, "WHEN": kwWhen, "WHERE": kwWhere,
	"WINDOW": kwWindow, "WITH": kwWith,
	"AND": kwOther, "BETWEEN": kwOther, "NULL": kwOther, "NULLS": kwOther, "FIRST": kwOther, "LAST": kwOther, "ASC": kwOther,
	"ROWS": kwOther, "ROW": kwOther, "RANGE": kwOther, "OVER": kwOther, "PARTITION": kwPartition, "INHERIT": kwInherit, "INHERITS": kwInherits, "PRECEDING": kwOther,
	"FOLLOWING": kwOther, "UNBOUNDED": kwOther, "CURRENT": kwOther, "INTERVAL": kwOther, "AT": kwOther, "TIME": kwOther,
	"ZONE": kwOther, "COLLATE": kwOther, "ESCAPE": kwOther, "SIMILAR": kwOther, "RLIKE": kwOther, "REGEXP": kwOther, "GLOB": kwOther,
	"WITHIN": kwOther, "FILTER": kwOther, "RESPECT": kwOther, "NEXT": kwOther, "PRIOR": kwOther, "CROSSJOIN": kwOther,
	"DIV": kwOther, "MOD": kwOther, "XOR": kwOther, "TRUE": kwOther, "FALSE": kwOther, "UNKNOWN": kwOther, "TIES": kwOther,
	"UNSIGNED": kwOther, "PRECISION": kwOther, "VARYING": kwOther, "SOME": kwOther, "MEMBER": kwOther, "OF": kwOf,
	"NOWAIT": kwOther, "SKIP": kwOther, "LOCKED": kwOther, "START": kwOther, "CLUSTER": kwOther, "DISTRIBUTE": kwOther, "SORT": kwOther,
	"MATCH_RECOGNIZE": kwOther, "MATCH_CONDITION": kwOther, "POSITIONAL": kwOther, "FORCE": kwOther, "PROCEDURE": kwOther,
	"LOCK": kwOther, "SHARE": kwOther, "MODE": kwOther, "RETURNS": kwOther, "WITHOUT": kwOther, "TIMESTAMP": kwOther, "DATE": kwOther,
	"VERSION": kwOther, "SYSTEM_TIME": kwOther, "EXCLUDE": kwOther, "GROUPS": kwOther, "CUBE": kwOther, "ROLLUP": kwOther, "SETS": kwOther, "GROUPING": kwOther,
	"ISNULL": kwOther, "NOTNULL": kwOther, "OPTION": kwOther, "BULK": kwOther, "COLLECT": kwOther, "KEEP": kwOther, "DENSE_RANK": kwOther, "BINARY": kwOther, "PERCENT": kwOther, "OTHERS": kwOther, "NO": kwOther, "DO": kwOther, "NOTHING": kwOther, "CONFLICT": kwOther, "DUPLICATE": kwOther, "KEY": kwOther, "MATCHED": kwOther, "SOURCE": kwOther, "TARGET": kwOther, "DEFAULT": kwOther, "CONSTRAINT": kwOther, "RESTART": kwOther, "CONTINUE": kwOther, "IDENTITY": kwOther, "RESTRICT": kwOther,
}

const longestKeyword = 15

func keywordOf(word []byte) keyword {
	if len(word) > longestKeyword {
		return kwNone
	}
	var upper [longestKeyword]byte
	for i, c := range word {
		if c >= 'a' && c <= 'z' {
			c &^= 0x20
		}
		upper[i] = c
	}
	return keywords[string(upper[:len(word)])]
}

// words is a set of words in upper case, for those that one statement knows.
type words map[string]bool

func wordSet(list string) words {
	w := words{}
	for _, word := range strings.Fields(list) {
		w[word] = true
	}
	return w
}

// has reports whether the set has a word in any letter case.
func (w words) has(word []byte) bool {
	var upper [24]byte
	if len(word) > len(upper) {
		return false
	}
	for i, c := range word {
		if c >= 'a' && c <= 'z' {
			c &^= 0x20
		}
		upper[i] = c
	}
	return w[string(upper[:len(word)])]
}
