// vttablet/query/query_rules.h - rules that refuse statements by their text, user, kind, tables or
// comments, in Vitess's JSON form: a list of {"Name", "Description", "User", "Query",
// "LeadingComment", "TrailingComment" (regular expressions, the whole text must match), "Plans",
// "TableNames", "Action": "FAIL" | "FAIL_RETRY" | "CONTINUE"}. All conditions of a rule must hold;
// the first rule that holds decides. Threads: any, const.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vttablet/query/admission.h"

namespace paceline::vttablet {

class QueryRules final : public Admission {
 public:
  // Errors: kInvalidArgument naming the rule and what is wrong, conditions included that cannot be
  // known here (RequestIP, BindVarConds): leaving one out would make a rule hit more than it says.
  static Result<std::unique_ptr<QueryRules>> Parse(std::string_view json);
  ~QueryRules() override;

  // kInvalidArgument for FAIL, kClusterEvent for FAIL_RETRY.
  Status Admit(const port::QueryRequest& request, const sql::Dialect& dialect) const override;
  size_t size() const { return rules_.size(); }

 private:
  struct Rule;
  QueryRules();

  std::vector<std::unique_ptr<Rule>> rules_;
};

}  // namespace paceline::vttablet
