// All policies that there are, as parameters of tests: a new one is in these by its line in the registry.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include "sched/policy.h"

namespace tessera::testing {

// As make_policy() takes them: by their names alone, then, where asked for, those that have options with the
// registry's example of these, where a share is one of `model`.
inline std::vector<std::string> every_policy(bool with_options = false, const std::string& model = "m") {
  std::vector<std::string> all;
  for (const sched::KnownPolicy& known : sched::known_policies()) {
    all.emplace_back(known.name);
  }
  for (const sched::KnownPolicy& known : sched::known_policies()) {
    if (with_options && !known.options.empty()) {
      std::string options(known.options);
      const std::size_t named = options.find("MODEL");
      all.push_back(std::string(known.name) + ":" +
                    (named == std::string::npos ? options : options.replace(named, 5, model)));
    }
  }
  return all;
}

// For INSTANTIATE_TEST_SUITE_P.
inline std::string policy_as_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

}  // namespace tessera::testing
