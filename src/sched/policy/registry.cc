// Which policies there are: one line each.
#include <array>
#include <string>
#include <utility>

#include "sched/policy/policies.h"

namespace tessera::sched {
namespace {

struct Entry {
  std::string_view name;
  Result<std::unique_ptr<Policy>> (*make)(const PolicyOptions&);
};
constexpr std::array kPolicies = {
    Entry{"tessera", make_tessera}, Entry{"temporal", make_temporal}, Entry{"streams", make_streams},
    Entry{"fixed", make_fixed},     Entry{"gslice", make_gslice},     Entry{"dstack", make_dstack},
};

Result<PolicyOptions> parse_options(std::string_view text) {
  PolicyOptions options;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(one.size() < text.size() ? one.size() + 1 : text.size());
    const std::size_t equals = one.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return invalid_argument("policy option '" + std::string(one) + "' is not key=value");
    }
    if (!options.emplace(one.substr(0, equals), one.substr(equals + 1)).second) {
      return invalid_argument("policy option '" + std::string(one.substr(0, equals)) + "' is given twice");
    }
  }
  return options;
}

}  // namespace

Result<std::unique_ptr<Policy>> make_policy(std::string_view name_and_options) {
  const std::string_view name = name_and_options.substr(0, name_and_options.find(':'));
  const std::string_view rest = name.size() < name_and_options.size() ? name_and_options.substr(name.size() + 1) : "";
  TESSERA_ASSIGN_OR_RETURN(const PolicyOptions options, parse_options(rest));
  std::string known;
  for (const Entry& entry : kPolicies) {
    if (entry.name == name) {
      return entry.make(options);
    }
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  return invalid_argument("unknown policy '" + std::string(name) + "'; known are: " + known);
}

}  // namespace tessera::sched
