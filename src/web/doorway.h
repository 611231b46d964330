// web/doorway.h - who may ask an HTTP server for what: credentials and roles by access::Guard, and
// no actions that another site's page makes a browser send. Threads: those of the guard.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "access/guard.h"
#include "web/http.h"

namespace paceline::web {

struct Doorway {
  std::shared_ptr<access::Guard> guard;
  // The role that a request needs; kNone: everybody may, as for probes.
  std::function<access::Role(const Request&)> needs;

  // Fills request.caller, or gives the refusal: 401 (browsers ask their user then), 403.
  std::optional<Response> Refuse(Request& request) const;
  // How what was let in has ended, for the audit log.
  void Done(const Request& request, const Response& response) const;
};

// Probes and monitors: open. Other pages: viewers. Actions, by POST: operators.
access::Role RoleOfPage(const Request& request);

// A browser sent it for a page of another site, or of a name that merely leads here.
bool IsCrossSite(const Request& request);

}  // namespace paceline::web
