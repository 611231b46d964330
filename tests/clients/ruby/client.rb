# Everyday work through mysql2. Arguments: host port user password database [tls]; prints "ok" when all held.
require "mysql2"

host, port, user, password, database, *options = ARGV
TABLE = "(id BIGINT PRIMARY KEY AUTO_INCREMENT, i INT, u BIGINT UNSIGNED, d DECIMAL(20,5), f DOUBLE, s VARCHAR(100), b LONGBLOB, t DATETIME(6), j JSON)"

def expect(held, what)
  raise what unless held
end

settings = { host: host, port: port.to_i, username: user, password: password, database: database, encoding: "utf8mb4",
             flags: Mysql2::Client::MULTI_STATEMENTS }
settings[:ssl_mode] = :required if options.include?("tls")
client = Mysql2::Client.new(settings)
client.query("DROP TABLE IF EXISTS ruby_types")
client.query("CREATE TABLE ruby_types #{TABLE}")
blob = Random.new(1).bytes(3_000_000)
words = "grüße '\\ ☃"
insert = client.prepare("INSERT INTO ruby_types (i, u, d, f, s, b, t, j) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
2.times do |round|
  insert.execute(-5, 9_223_372_036_854_775_808, "12.34500", 1.5, words, blob, "2024-02-29 10:11:12.123456", '{"a": 1}')
  expect(insert.affected_rows == 1 && insert.last_id == round + 1, "insert")
end
select = client.prepare("SELECT * FROM ruby_types WHERE id = ?")
[1, 2].each do |id|
  row = select.execute(id).first
  expect(row["i"] == -5 && row["u"] == 9_223_372_036_854_775_808 && row["d"] == BigDecimal("12.345") && row["f"] == 1.5, "numbers #{row["u"]}")
  expect(row["s"] == words && row["b"] == blob && row["t"].usec == 123_456, "text, blob and time")
end
rows = client.query("SELECT id FROM ruby_types", stream: true, cache_rows: false).to_a
expect(rows.length == 2, "streamed rows")
{ "INSERT INTO ruby_types (id) VALUES (1)" => 1062, "SELECT nope" => 1054, "SELEC" => 1064, "SELECT * FROM nope" => 1146 }.each do |text, number|
  begin
    client.query(text)
    expect(false, text)
  rescue Mysql2::Error => error
    expect(error.error_number == number, "#{text}: #{error.message}")
  end
end
results = [client.query("SELECT 1 AS a; SELECT 2 AS a; SELECT 3 AS a").first["a"]]
results << client.store_result.first["a"] while client.next_result
expect(results == [1, 2, 3], "many results: #{results}")
client.query("BEGIN")
client.query("DELETE FROM ruby_types")
client.query("ROLLBACK")
expect(client.query("SELECT COUNT(*) AS n FROM ruby_types").first["n"] == 2, "rollback")
client.query("DROP TABLE ruby_types")
client.close
puts "ok"
