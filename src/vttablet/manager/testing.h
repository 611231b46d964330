// vttablet/manager/testing.h - what tests of a tablet's manager share. For tests.
#pragma once

#include <memory>
#include <string>

#include "mysqld/testing.h"
#include "topo/open.h"

namespace paceline::vttablet {

// A topology in memory, named by `root`, with the cell zone1 and a keyspace "ks".
inline io::Task<Result<std::unique_ptr<topo::Server>>> OpenMemoryTopology(
    std::string root, record::Keyspace keyspace) {
  topo::OpenOptions options;
  options.implementation = "memory";
  options.global_address = root;
  options.global_root = "/global";
  Result<std::unique_ptr<topo::Server>> opened = topo::OpenServer(options);
  if (!opened) co_return Fail(opened.error());
  std::unique_ptr<topo::Server> server = std::move(*opened);
  record::CellInfo cell;
  cell.server_address = root;
  cell.root = "/zone1";
  Status made = co_await server->CreateCellInfo("zone1", cell, mysqld::InTest());
  if (made) made = co_await server->CreateKeyspace("ks", keyspace, mysqld::InTest());
  if (!made) co_return Fail(made.error());
  co_return server;
}

}  // namespace paceline::vttablet
