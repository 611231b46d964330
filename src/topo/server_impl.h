// topo/server_impl.h - the templates by which Server reads, writes and modifies records. For
// server*.cc only.
#pragma once

#include <utility>

#include "topo/cache.h"
#include "topo/paths.h"
#include "topo/server.h"

namespace paceline::topo {

template <class T>
io::Task<Result<Stored<T>>> Server::Read(std::string cell, Path path, Deadline deadline) {
  Result<Conn*> conn = co_await Cell(cell, deadline);
  if (!conn) co_return Fail(conn.error());
  Result<File> file = co_await (*conn)->Get(path, deadline);
  if (!file) co_return Fail(file.error());
  Result<T> value = Decode<T>(file->data);
  if (!value) co_return Fail(value.error().Context(path));
  if (copy_ != nullptr && cell == kGlobalCell) copy_->Put(cell, path, file->data);
  co_return Stored<T>{std::move(*value), file->version, std::move(file->data)};
}

// Keeps what the stored record holds beyond T.
template <class T>
io::Task<Status> Server::Write(std::string cell, Path path, T value, Deadline deadline) {
  Result<Conn*> conn = co_await Cell(cell, deadline);
  if (!conn) co_return Fail(conn.error());
  for (;;) {
    Result<File> file = co_await (*conn)->Get(path, deadline);
    if (!file && file.error().code() != Code::kNotFound) co_return Fail(file.error());
    std::string base = file ? file->data : std::string();
    std::string bytes = Encode(value, base);
    if (file && bytes == file->data) co_return Status();
    Result<Version> written = Fail(Code::kUnknown, "not written");
    if (file) {
      written = co_await (*conn)->Update(path, bytes, file->version, deadline);
    } else {
      written = co_await (*conn)->Create(path, bytes, deadline);
    }
    if (written) co_return Status();
    Code code = written.error().code();
    if (code != Code::kFailedPrecondition && code != Code::kAlreadyExists)
      co_return Fail(written.error());
  }
}

template <class T>
io::Task<Result<T>> Server::Modify(std::string cell, Path path, std::function<Result<bool>(T&)> fn,
                                   bool create, Deadline deadline) {
  Result<Conn*> conn = co_await Cell(cell, deadline);
  if (!conn) co_return Fail(conn.error());
  for (;;) {
    Result<File> file = co_await (*conn)->Get(path, deadline);
    bool absent = !file && file.error().code() == Code::kNotFound;
    if (!file && !(absent && create)) co_return Fail(file.error());
    std::string base = file ? file->data : std::string();
    Result<T> value = Decode<T>(base);
    if (!value) co_return Fail(value.error().Context(path));
    Result<bool> changed = fn(*value);
    if (!changed) co_return Fail(changed.error());
    if (!*changed) co_return std::move(*value);
    std::string bytes = Encode(*value, base);
    if (file && bytes == base) co_return std::move(*value);
    Result<Version> written = Fail(Code::kUnknown, "not written");
    if (file) {
      written = co_await (*conn)->Update(path, bytes, file->version, deadline);
    } else {
      written = co_await (*conn)->Create(path, bytes, deadline);
    }
    if (written) co_return std::move(*value);
    Code code = written.error().code();
    if (code != Code::kFailedPrecondition && code != Code::kAlreadyExists)
      co_return Fail(written.error());
  }
}

template <class T>
io::Task<Result<std::unique_ptr<TypedWatch<T>>>> Server::WatchRecord(std::string cell, Path path,
                                                                     Deadline deadline) {
  Result<Conn*> conn = co_await Cell(cell, deadline);
  if (!conn) co_return Fail(conn.error());
  Result<WatchPtr> watch = co_await (*conn)->OpenWatch(path, deadline);
  if (!watch) co_return Fail(watch.error());
  co_return std::make_unique<TypedWatch<T>>(std::move(*watch), std::move(path));
}

}  // namespace paceline::topo
