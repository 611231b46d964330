// web/events.h - server-sent events: an answer that goes on for as long as the client listens.
// Threads: any; the handler's side sends, the transport takes.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace paceline::web {

class EventStream {
 public:
  // What may wait for a client that reads slowly. Beyond it the client is let go; a browser comes
  // back by itself and is told everything anew.
  static constexpr size_t kBacklogMax = 4u << 20;

  // REQUIRES: no line break in either. False: nobody listens any more.
  bool Send(std::string_view event, std::string_view data);
  // What is pending is still sent.
  void Close();
  bool closed() const;

  // For the transport. `wake` is called, on any thread, when there is something to take.
  void Attach(std::function<void()> wake);
  std::string Take();
  // The client has gone.
  void Detach();

 private:
  mutable std::mutex mutex_;
  std::function<void()> wake_;
  std::string pending_;
  bool closed_ = false;
};

}  // namespace paceline::web
