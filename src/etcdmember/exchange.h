// etcdmember/exchange.h - what the members' wrappers ask each other over HTTP: how each stands, and
// for snapshots. Questions change nothing; questions and answers are sealed with a secret that all
// know, and an answer fits only the question it was given for. Threads: one loop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/metrics.h"
#include "base/time.h"
#include "etcdmember/decide.h"
#include "etcdmember/folder.h"
#include "io/loop.h"
#include "io/task.h"
#include "web/server.h"

namespace paceline::etcdmember {

class Exchange {
 public:
  // `members`: the configuration, which all must share.
  Exchange(std::string secret, std::string members, Snapshots& snapshots)
      : secret_(std::move(secret)), members_(std::move(members)), snapshots_(snapshots) {}

  // Answers on `address`:`port`; "/" and "/debug/status" show `page`, "/healthz" and "/readyz" are
  // 200 while `well`; "/metrics" and "/debug/vars". Errors: those of web::Server::Start.
  Status Start(io::Loop& loop, std::string address, uint16_t port, std::function<Sight()> look,
               std::function<std::string()> page, std::function<bool()> well);
  void Stop() {
    server_.reset();
    serving_ = {};
  }

  // Errors: kUnavailable, kPermissionDenied = another secret, kFailedPrecondition = another
  // configuration, naming the address.
  io::Task<Result<Sight>> Look(std::string address, Deadline deadline);
  // Brings a snapshot here. Errors: also kDataLoss.
  io::Task<Status> Fetch(std::string address, SnapshotId id, Deadline deadline);

 private:
  io::Task<Result<std::string>> Ask(std::string address, std::string path, std::string body,
                                    Deadline deadline);
  void Answer(std::string path, std::function<Result<std::string>(const std::string&)> answer);
  Result<std::string> Piece(const std::string& question) const;

  std::string secret_, members_;
  Snapshots& snapshots_;
  std::unique_ptr<web::Server> server_;
  Metrics::Callback serving_;
};

}  // namespace paceline::etcdmember
