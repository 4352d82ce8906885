// Policies by their names.
#include "sched/policy/registry.h"

#include <array>
#include <cstddef>
#include <utility>

namespace tessera::sched {
namespace {

// In one order.
#define TESSERA_DESCRIBE(name, options, help) KnownPolicy{#name, options, help},
constexpr std::array kKnown = {TESSERA_POLICIES(TESSERA_DESCRIBE)};
#undef TESSERA_DESCRIBE
#define TESSERA_MAKE(name, options, help) make_##name,
constexpr std::array kMake = {TESSERA_POLICIES(TESSERA_MAKE)};
#undef TESSERA_MAKE

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

std::span<const KnownPolicy> known_policies() { return kKnown; }

Result<std::unique_ptr<Policy>> make_policy(std::string_view name_and_options) {
  const std::string_view name = name_and_options.substr(0, name_and_options.find(':'));
  const std::string_view rest = name.size() < name_and_options.size() ? name_and_options.substr(name.size() + 1) : "";
  TESSERA_ASSIGN_OR_RETURN(const PolicyOptions options, parse_options(rest));
  std::string known;
  for (std::size_t i = 0; i < kKnown.size(); ++i) {
    if (kKnown[i].name == name) {
      return kMake[i](options);
    }
    known += (known.empty() ? "" : ", ") + std::string(kKnown[i].name);
  }
  return invalid_argument("unknown policy '" + std::string(name) + "'; known are: " + known);
}

}  // namespace tessera::sched
