// Everyday work through go-sql-driver. Argument: a DSN without parameters' "?"; prints "ok" when all held.
package main

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/go-sql-driver/mysql"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func expect(ok bool, what string, got ...any) {
	if !ok {
		panic(fmt.Sprint(what, ": ", got))
	}
}

func number(err error) uint16 {
	var known *mysql.MySQLError
	if errors.As(err, &known) {
		return known.Number
	}
	return 0
}

func main() {
	for _, parameters := range []string{"", "&interpolateParams=true"} {
		work(os.Args[1] + parameters)
	}
	fmt.Println("ok")
}

func work(dsn string) {
	db, err := sql.Open("mysql", dsn)
	must(err)
	defer db.Close()
	must(db.Ping())
	_, err = db.Exec("DROP TABLE IF EXISTS go_types")
	must(err)
	_, err = db.Exec("CREATE TABLE go_types (id BIGINT PRIMARY KEY AUTO_INCREMENT, i INT, u BIGINT UNSIGNED, d DECIMAL(20,5), f DOUBLE," +
		" s VARCHAR(100), b LONGBLOB, t DATETIME(6), j JSON)")
	must(err)
	blob := bytes.Repeat([]byte("\x00\xffblob"), 500000)
	for round := 0; round < 2; round++ {
		result, err := db.Exec("INSERT INTO go_types (i, u, d, f, s, b, t, j) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", -5, uint64(1<<63), "12.34500",
			1.5, "gr\u00fc\u00dfe '\\ \u2603", blob, "2024-02-29 10:11:12.123456", `{"a": 1}`)
		must(err)
		id, err := result.LastInsertId()
		must(err)
		expect(id == int64(round+1), "insert id", id)
	}
	var i int
	var u uint64
	var d, s, t, j string
	var f float64
	var b []byte
	must(db.QueryRow("SELECT i, u, d, f, s, b, t, j FROM go_types WHERE id = ?", 2).Scan(&i, &u, &d, &f, &s, &b, &t, &j))
	expect(i == -5 && u == 1<<63 && d == "12.34500" && f == 1.5 && s == "gr\u00fc\u00dfe '\\ \u2603", "values", i, u, d, f, s)
	expect(bytes.Equal(b, blob), "blob", len(b))
	expect(strings.HasPrefix(t, "2024-02-29 10:11:12.123456") || strings.HasPrefix(t, "2024-02-29T10:11:12.123456"), "time", t)
	expect(strings.Contains(j, `"a"`), "json", j)
	statement, err := db.Prepare("SELECT ? + id FROM go_types ORDER BY id")
	must(err)
	for round := 0; round < 3; round++ {
		rows, err := statement.Query(round)
		must(err)
		for want := round + 1; rows.Next(); want++ {
			must(rows.Scan(&i))
			expect(i == want, "prepared", i)
		}
		must(rows.Err())
	}
	must(statement.Close())
	tx, err := db.Begin()
	must(err)
	_, err = tx.Exec("INSERT INTO go_types (id, i) VALUES (77, 1)")
	must(err)
	must(tx.Rollback())
	must(db.QueryRow("SELECT COUNT(*) FROM go_types WHERE id = 77").Scan(&i))
	expect(i == 0, "rollback", i)
	_, err = db.Exec("INSERT INTO go_types (id) VALUES (1)")
	expect(number(err) == 1062, "duplicate", err)
	_, err = db.Exec("SELECT nope FROM go_types")
	expect(number(err) == 1054, "unknown column", err)
	_, err = db.Exec("SELECT * FROM go_nope WHERE id = ?", 1)
	expect(number(err) == 1146, "unknown table", err)
	rows, err := db.Query("SELECT * FROM go_types")
	must(err)
	types, err := rows.ColumnTypes()
	must(err)
	expect(types[3].DatabaseTypeName() == "DECIMAL" && types[6].DatabaseTypeName() == "BLOB", "types", types[3], types[6])
	must(rows.Close())
	_, err = db.Exec("DROP TABLE go_types")
	must(err)
}
