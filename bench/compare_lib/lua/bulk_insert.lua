-- One event: an INSERT of 1,000 rows of about 110 bytes each.
sysbench.cmdline.options = {}

local text = string.rep("x", 96)

function thread_init()
  connection = sysbench.sql.driver():connect()
end

function event()
  local rows = {}
  for i = 1, 1000 do
    rows[i] = string.format("(%d,'%s')", sysbench.rand.uniform(1, 1000000), text)
  end
  connection:query("INSERT INTO bench_bulk (n, c) VALUES " .. table.concat(rows, ","))
end
