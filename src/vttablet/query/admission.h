// vttablet/query/admission.h - who may run what, asked before a statement gets a connection.
// Implementations: table ACLs, query rules. Threads: asked on query loops, several at once.
#pragma once

#include "base/error.h"
#include "port/query_service.h"
#include "sql/dialect.h"

namespace paceline::vttablet {

class Admission {
 public:
  virtual ~Admission() = default;
  // An error refuses the statement: kPermissionDenied, kInvalidArgument, kResourceExhausted. Quick
  // and without waiting.
  // `dialect`: how the session reads the text.
  virtual Status Admit(const port::QueryRequest& request, const sql::Dialect& dialect) const = 0;
};

}  // namespace paceline::vttablet
