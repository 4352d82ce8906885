#include "apps/findings.h"

#include <algorithm>
#include <boost/json.hpp>

namespace tessera::apps {

std::string_view Findings::verdict(Kind kind) {
  return kind == Kind::kFact ? "" : kind == Kind::kHolds ? "ok" : "FAILED";
}

bool Findings::all_hold() const {
  const auto is = [](Kind kind) { return [kind](const Finding& each) { return each.kind == kind; }; };
  return std::any_of(list_.begin(), list_.end(), is(Kind::kHolds)) &&
         std::none_of(list_.begin(), list_.end(), is(Kind::kFails));
}

std::string Findings::table() const {
  std::size_t width = 0;
  for (const Finding& each : list_) width = std::max(width, each.name.size());
  std::string text;
  for (const Finding& each : list_) {
    std::string word(verdict(each.kind));
    word.resize(8, ' ');
    text += word + each.name + std::string(width - each.name.size() + 2, ' ') + each.value + "\n";
  }
  return text;
}

std::string Findings::json(const std::string& rows) const {
  boost::json::array list;
  for (const Finding& each : list_) {
    list.push_back({{"name", each.name}, {"value", each.value}, {"verdict", verdict(each.kind)}});
  }
  boost::json::object all{{"passed", all_hold()}, {"findings", std::move(list)}};
  if (!rows.empty()) all["rows"] = boost::json::parse(rows);
  return boost::json::serialize(all) + "\n";
}

}  // namespace tessera::apps
