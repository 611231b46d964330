<?php
// Everyday work through mysqli and PDO. Arguments: host port user password database [tls]; prints "ok" when all held.
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
[, $host, $port, $user, $password, $database] = $argv;
$tls = in_array("tls", $argv);
const TABLE = "(id BIGINT PRIMARY KEY AUTO_INCREMENT, i INT, u BIGINT UNSIGNED, d DECIMAL(20,5), f DOUBLE, s VARCHAR(100), b LONGBLOB, t DATETIME(6), j JSON)";
$blob = random_bytes(3000000);
$values = [-5, "9223372036854775808", "12.34500", 1.5, "grüße '\\ ☃", $blob, "2024-02-29 10:11:12.123456", '{"a": 1}'];

function expect($held, $what) {
    if (!$held) throw new Exception($what);
}

function with_mysqli() {
    global $host, $port, $user, $password, $database, $tls, $blob, $values;
    $connection = mysqli_init();
    $connection->ssl_set(null, null, null, null, null);
    $flags = $tls ? MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT | MYSQLI_CLIENT_COMPRESS : 0;
    $connection->real_connect($host, $user, $password, $database, (int)$port, null, $flags);
    $connection->set_charset("utf8mb4");
    $connection->query("DROP TABLE IF EXISTS php_types");
    $connection->query("CREATE TABLE php_types " . TABLE);
    $insert = $connection->prepare("INSERT INTO php_types (i, u, d, f, s, b, t, j) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    $nothing = null;
    $insert->bind_param("issdsbss", $values[0], $values[1], $values[2], $values[3], $values[4], $nothing, $values[6], $values[7]);
    foreach (str_split($blob, 500000) as $piece) $insert->send_long_data(5, $piece);
    $insert->execute();
    expect($insert->affected_rows === 1 && $insert->insert_id === 1, "insert");
    $select = $connection->prepare("SELECT * FROM php_types WHERE id = ?");
    $id = 1;
    $select->bind_param("i", $id);
    foreach ([1, 2] as $round) {
        $select->execute();
        $row = $select->get_result()->fetch_assoc();
        expect($row["i"] === -5 && $row["u"] === $values[1] && $row["d"] === $values[2] && $row["f"] === 1.5 && $row["s"] === $values[4], "values");
        expect($row["b"] === $blob && $row["t"] === $values[6], "blob and time");
    }
    $connection->multi_query("SELECT 1 AS a; SELECT nope; SELECT 3");
    expect($connection->store_result()->fetch_row()[0] === "1", "the first of many results");
    try {
        $connection->next_result();
        expect(false, "the second has failed");
    } catch (mysqli_sql_exception $error) {
        expect($error->getCode() === 1054, "number " . $error->getCode());
    }
    foreach (["INSERT INTO php_types (id) VALUES (1)" => 1062, "SELEC" => 1064, "SELECT * FROM nope" => 1146] as $text => $number) {
        try {
            $connection->query($text);
            expect(false, $text);
        } catch (mysqli_sql_exception $error) {
            expect($error->getCode() === $number, "$text: " . $error->getMessage());
        }
    }
    $connection->begin_transaction();
    $connection->query("DELETE FROM php_types");
    $connection->rollback();
    expect($connection->query("SELECT COUNT(*) FROM php_types")->fetch_row()[0] == 1, "rollback");
    $connection->change_user($user, $password, $database);
    expect($connection->query("SELECT DATABASE()")->fetch_row()[0] === $database, "change_user");
    $connection->close();
}

function with_pdo($emulate) {
    global $host, $port, $user, $password, $database, $tls, $blob, $values;
    $options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_EMULATE_PREPARES => $emulate];
    if ($tls) $options += [PDO::MYSQL_ATTR_SSL_CIPHER => "DEFAULT", PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT => false, PDO::MYSQL_ATTR_COMPRESS => true];
    $pdo = new PDO("mysql:host=$host;port=$port;dbname=$database;charset=utf8mb4", $user, $password, $options);
    $insert = $pdo->prepare("INSERT INTO php_types (i, u, d, f, s, b, t, j) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    $insert->execute($values);
    $select = $pdo->prepare("SELECT * FROM php_types WHERE id = :id");
    $select->execute(["id" => $pdo->lastInsertId()]);
    $row = $select->fetch(PDO::FETCH_ASSOC);
    expect($row["i"] == -5 && $row["u"] === $values[1] && $row["d"] === $values[2] && $row["s"] === $values[4] && $row["b"] === $blob, "PDO's values");
    $pdo->beginTransaction();
    $pdo->exec("DELETE FROM php_types");
    $pdo->rollBack();
    expect($pdo->query("SELECT COUNT(*) FROM php_types")->fetchColumn() >= 1, "PDO's rollback");
    try {
        $pdo->query("SELECT nope");
        expect(false, "SELECT nope");
    } catch (PDOException $error) {
        expect($error->errorInfo[1] === 1054 && $error->errorInfo[0] === "42S22", "PDO's error");
    }
}

with_mysqli();
with_pdo(true);
with_pdo(false);
echo "ok\n";
