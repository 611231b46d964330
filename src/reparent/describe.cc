#include "base/strings.h"
#include "reparent/decide.h"

namespace paceline::reparent {
namespace {

std::string Names(const std::vector<TabletAlias>& tablets) {
  std::vector<std::string> names;
  for (const TabletAlias& alias : tablets) names.push_back(alias.ToString());
  return Join(names, ", ");
}

struct Text {
  std::string operator()(const Wait& s) const {
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(s.how_long).count();
    return fmt::format("wait {} ms: {}", ms, s.why);
  }
  std::string operator()(const PromiseTerm& s) const {
    return fmt::format("ask for term {}: {}", s.term, Names(s.tablets));
  }
  std::string operator()(const Fence& s) const {
    return fmt::format("fence in term {}: {}", s.term, Names(s.tablets));
  }
  std::string operator()(const Demote& s) const {
    return fmt::format("demote {} in term {}", s.tablet.ToString(), s.term);
  }
  std::string operator()(const UndoDemote& s) const {
    return fmt::format("let {} lead again in term {}", s.tablet.ToString(), s.term);
  }
  std::string operator()(const WaitForPosition& s) const {
    return fmt::format("wait until {} has applied {}", s.tablet.ToString(), s.position.ToString());
  }
  std::string operator()(const Repoint& s) const {
    std::vector<TabletAlias> tablets;
    for (const Repoint::Replica& replica : s.replicas) tablets.push_back(replica.tablet);
    return fmt::format("replicate from {} in term {}: {}", s.primary.ToString(), s.term,
                       Names(tablets));
  }
  std::string operator()(const Promote& s) const {
    return fmt::format("promote {} in term {}, acknowledgements {}", s.tablet.ToString(), s.term,
                       s.acknowledgements);
  }
  std::string operator()(const Publish& s) const {
    return fmt::format("publish {} as primary of term {}", s.primary.ToString(), s.term);
  }
  std::string operator()(const Done& s) const { return "done: " + s.summary; }
  std::string operator()(const Refuse& s) const { return "refused: " + s.why; }
};

}  // namespace

std::string Describe(const Step& step) { return std::visit(Text(), step); }

}  // namespace paceline::reparent
