// How the pages' files are served; their bytes come from the build (web/build.mjs).
#include "console/files.h"

#include "base/strings.h"
#include "console/console.h"

namespace paceline::console {
namespace {

web::Response FileResponse(const WebFile& file, const web::Request& request) {
  web::Response response;
  response.content_type = file.content_type;
  // Asked again each time, so that an upgraded vtctld never meets the pages of the old one.
  response.headers.emplace_back("Cache-Control", "no-cache");
  response.headers.emplace_back("ETag", file.tag);
  response.headers.emplace_back("Vary", "Accept-Encoding");
  if (request.Header("if-none-match") == file.tag) {
    response.status = 304;
    return response;
  }
  const std::string_view accepted = request.Header("accept-encoding");
  if (accepted.find("br") != std::string_view::npos) {
    response.headers.emplace_back("Content-Encoding", "br");
    response.body = file.brotli;
  } else if (accepted.find("gzip") != std::string_view::npos) {
    response.headers.emplace_back("Content-Encoding", "gzip");
    response.body = file.gzip;
  } else {
    response.body = file.plain;
  }
  return response;
}

}  // namespace

void Console::AddFiles() {
  for (const WebFile& file : WebFiles()) {
    const auto serve = [&file](const web::Request& request, web::Completion done) {
      done(FileResponse(file, request));
    };
    server_.Route("/" + std::string(file.name), serve);
    if (file.name == "index.html") server_.Route("/", serve);
  }
  // Where Vitess's console is, which the run-book and its readers open.
  for (const char* path : {"/app", "/app/"}) {
    server_.Route(path, [](const web::Request& request, web::Completion done) {
      web::Response response = web::TextResponse(302, "the console is one level up\n");
      std::string up = "./";
      for (size_t at = 1; (at = request.path.find('/', at)) != std::string::npos; ++at) up += "../";
      response.headers.emplace_back("Location", up);
      done(std::move(response));
    });
  }
}

}  // namespace paceline::console
