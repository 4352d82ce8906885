// What a test of the installation found, as a table and as JSON.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tessera::apps {

// Owned by one thread.
class Findings {
 public:
  void fact(std::string name, std::string value) { list_.push_back({std::move(name), std::move(value), Kind::kFact}); }
  void check(std::string name, bool holds, std::string value) {
    list_.push_back({std::move(name), std::move(value), holds ? Kind::kHolds : Kind::kFails});
  }

  bool all_hold() const;  // and there is something to hold
  std::string table() const;
  // {"passed": ..., "findings": [{"name", "value", "verdict"}...], "rows": ...}; `rows`: a JSON list, or empty.
  std::string json(const std::string& rows = {}) const;

 private:
  enum class Kind { kFact, kHolds, kFails };
  struct Finding {
    std::string name;
    std::string value;
    Kind kind;
  };
  static std::string_view verdict(Kind kind);

  std::vector<Finding> list_;
};

}  // namespace tessera::apps
