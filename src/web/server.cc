#include "web/server.h"

#include <map>

#include "web/transport.h"

namespace paceline::web {

// Used on the loop's thread alone; posted work holds it beyond Stop.
struct Server::Shared {
  std::map<std::string, std::map<std::string, Handler>, std::less<>> routes;  // path, method
  bool stopped = false;

  const std::map<std::string, Handler>* Find(std::string_view path) const {
    if (const auto exact = routes.find(path); exact != routes.end()) return &exact->second;
    for (size_t slash = path.rfind('/'); slash != std::string_view::npos && slash > 0;
         slash = path.rfind('/', slash - 1)) {
      const auto above = routes.find(path.substr(0, slash + 1));
      if (above != routes.end()) return &above->second;
    }
    return nullptr;
  }

  std::optional<Doorway> doorway;

  void Handle(Request& request, Completion done) const {
    if (stopped) return done(TextResponse(503, "stopping\n"));
    const auto* methods = Find(request.path);
    if (doorway) {
      if (std::optional<Response> refusal = doorway->Refuse(request))
        return done(std::move(*refusal));
      if (doorway->needs(request) > access::Role::kViewer) {
        Request asked = request;
        asked.body.clear();
        done = [doorway = *doorway, asked = std::move(asked),
                answer = std::move(done)](Response response) {
          doorway.Done(asked, response);
          answer(std::move(response));
        };
      }
    }
    if (methods == nullptr) return done(TextResponse(404, "no such page\n"));
    const auto handler = methods->find(request.method);
    if (handler == methods->end()) {
      Response refusal = TextResponse(405, "the page does not take this method\n");
      std::string allow;
      for (const auto& [method, unused] : *methods) {
        allow += (allow.empty() ? "" : ", ") + method + (method == "GET" ? ", HEAD" : "");
      }
      refusal.headers.emplace_back("Allow", allow);
      return done(std::move(refusal));
    }
    const Handler running = handler->second;  // it may change the routes
    running(request, done);
  }
};

Server::Server(io::Loop& loop, ServerOptions options)
    : loop_(loop), options_(std::move(options)), shared_(std::make_shared<Shared>()) {
  shared_->doorway = options_.doorway;
}

Server::~Server() { Stop(); }

void Server::Route(std::string path, Handler handler) {
  shared_->routes[std::move(path)]["GET"] = std::move(handler);
}

void Server::RoutePost(std::string path, Handler handler) {
  shared_->routes[std::move(path)]["POST"] = std::move(handler);
}

Status Server::Start() {
  // As many posts wait on the loop as there may be connections.
  auto on_request = [&loop = loop_, shared = shared_](Request request, Completion done) {
    loop.Post([shared, request = std::move(request), done = std::move(done)]() mutable {
      shared->Handle(request, std::move(done));
    });
  };
  ASSIGN_OR_RETURN(transport_, Transport::Start(options_, std::move(on_request)));
  return {};
}

void Server::Stop() {
  shared_->stopped = true;
  transport_.reset();
  shared_->routes.clear();
}

uint16_t Server::port() const { return transport_ == nullptr ? 0 : transport_->port(); }

}  // namespace paceline::web
