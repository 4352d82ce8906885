// JSON that remembers where it stood, so that whoever finds a value wrong can say the line and the column.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tessera::loadgen {

inline constexpr std::size_t kMaxJsonBytes = std::size_t{16} << 20U;

struct JsonMember;

// Immutable once parsed.
struct Json {
  enum class Kind { kNull, kTruth, kNumber, kText, kList, kObject };
  Kind kind = Kind::kNull;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  bool truth = false;
  double number = 0;
  std::string text;
  std::vector<Json> items;          // of a list
  std::vector<JsonMember> members;  // of an object, in their order

  const Json* find(std::string_view key) const;
};

struct JsonMember {
  std::string key;
  Json value;
};

// Errors name `file`, line and column.
Result<Json> parse_json(std::string_view text, std::string_view file);

// "file:line:column: message" as an invalid argument.
Error error_at(const Json& where, std::string_view file, const std::string& message);

// The fields of an object, each with its type and range. The first error counts; after it everything reads as absent.
// Used on one thread, while the object lives.
class Fields {
 public:
  Fields(const Json& object, std::string_view file);

  std::optional<double> number(std::string_view key, double least, double most);
  std::optional<std::int64_t> whole(std::string_view key, std::int64_t least, std::int64_t most);
  std::optional<std::string> text(std::string_view key);  // neither empty nor longer than 4096 bytes
  std::optional<bool> truth(std::string_view key);
  const Json* list(std::string_view key);
  const Json* object(std::string_view key);
  const Json* any(std::string_view key);

  void fail(const Json& where, const std::string& message);
  void fail(const std::string& message) { fail(object_, message); }
  // An error found further inside.
  void adopt(const Status& status) {
    if (status_.ok()) {
      status_ = status;
    }
  }
  // That the object has `key`.
  void need(std::string_view key, std::string_view why);
  // The first error; a key that nobody asked for is one.
  Status done();

 private:
  const Json* get(std::string_view key, Json::Kind kind, std::string_view what);

  const Json& object_;
  std::string_view file_;
  std::vector<std::string_view> asked_;
  Status status_;
};

}  // namespace tessera::loadgen
