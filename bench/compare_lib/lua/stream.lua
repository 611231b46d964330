-- One event: a SELECT of 100 MB.
sysbench.cmdline.options = {}

function thread_init()
  connection = sysbench.sql.driver():connect()
end

function event()
  connection:query("SELECT id, c FROM bench_stream")
end
