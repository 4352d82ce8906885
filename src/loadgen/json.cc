#include "loadgen/json.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <cmath>
#include <utility>

namespace tessera::loadgen {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxDepth = 16;
constexpr std::size_t kMaxText = 4096;

struct Place {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
};

// Builds the tree from what Boost's parser reports. Members beginning with max_ and on_ are what that asks for.
struct Builder {
  static constexpr std::size_t max_object_size = 65536;
  static constexpr std::size_t max_array_size = 1 << 20;
  static constexpr std::size_t max_key_size = 256;
  static constexpr std::size_t max_string_size = kMaxText;

  Json root;
  std::vector<Json*> open;
  std::string key;
  std::string text;
  Place place;            // where the value at hand begins
  bool repeated = false;  // a key came twice

  Json& add(Json::Kind kind) {
    Json* made = &root;
    if (!open.empty() && open.back()->kind == Json::Kind::kList) {
      made = &open.back()->items.emplace_back();
    } else if (!open.empty()) {
      made = &open.back()->members.emplace_back(JsonMember{std::move(key), {}}).value;
      key.clear();
    }
    made->kind = kind;
    made->line = place.line;
    made->column = place.column;
    return *made;
  }
  bool begin(Json::Kind kind) {
    Json& made = add(kind);
    // Only the innermost grows, so those that contain it stay where they are.
    open.push_back(&made);
    return true;
  }
  bool end() {
    open.pop_back();
    return true;
  }
  bool number(double value) {
    add(Json::Kind::kNumber).number = value;
    return true;
  }
  bool part(std::string& to, json::string_view piece) {
    to.append(piece.data(), piece.size());
    return true;
  }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) { return begin(Json::Kind::kObject); }
  bool on_object_end(std::size_t, json::error_code&) { return end(); }
  bool on_array_begin(json::error_code&) { return begin(Json::Kind::kList); }
  bool on_array_end(std::size_t, json::error_code&) { return end(); }
  bool on_key_part(json::string_view piece, std::size_t, json::error_code&) { return part(key, piece); }
  bool on_key(json::string_view piece, std::size_t, json::error_code& error) {
    part(key, piece);
    if (open.back()->find(key) != nullptr) {
      repeated = true;
      error = json::error::syntax;
      return false;
    }
    return true;
  }
  bool on_string_part(json::string_view piece, std::size_t, json::error_code&) { return part(text, piece); }
  bool on_string(json::string_view piece, std::size_t, json::error_code&) {
    part(text, piece);
    add(Json::Kind::kText).text = std::exchange(text, {});
    return true;
  }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view, json::error_code&) { return number(static_cast<double>(value)); }
  bool on_uint64(std::uint64_t value, json::string_view, json::error_code&) {
    return number(static_cast<double>(value));
  }
  bool on_double(double value, json::string_view, json::error_code&) { return number(value); }
  bool on_bool(bool value, json::error_code&) {
    add(Json::Kind::kTruth).truth = value;
    return true;
  }
  bool on_null(json::error_code&) {
    add(Json::Kind::kNull);
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }
};

// Where tokens begin, which the parser, fed byte by byte, does not say.
class Tokens {
 public:
  // Before the parser sees `c`. True where a value or key begins.
  bool begins(char c) {
    if (in_text_) {
      in_text_ = escaped_ || c != '"';
      escaped_ = !escaped_ && c == '\\';
      return false;
    }
    const bool plain = std::string_view(" \t\r\n,:]}").find(c) == std::string_view::npos;
    const bool first = plain && (!in_word_ || c == '"' || c == '{' || c == '[');
    in_text_ = c == '"';
    in_word_ = plain && c != '"' && c != '{' && c != '[';
    return first;
  }

 private:
  bool in_text_ = false;
  bool escaped_ = false;
  bool in_word_ = false;
};

Error bad(std::string_view file, Place place, const std::string& message) {
  return invalid_argument(std::string(file) + ":" + std::to_string(place.line) + ":" + std::to_string(place.column) +
                          ": " + message);
}

std::string in_words(double value) {
  std::string text = std::to_string(value);
  while (text.back() == '0') {
    text.pop_back();
  }
  if (text.back() == '.') {
    text.pop_back();
  }
  return text;
}

}  // namespace

const Json* Json::find(std::string_view key) const {
  for (const auto& [name, value] : members) {
    if (name == key) {
      return &value;
    }
  }
  return nullptr;
}

Result<Json> parse_json(std::string_view text, std::string_view file) {
  if (text.size() > kMaxJsonBytes) {
    return Error(ErrorCode::kTooLarge, std::string(file) + ": larger than 16 MB");
  }
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::basic_parser<Builder> parser(options);
  Tokens tokens;
  Place place;
  for (const char& c : text) {
    if (tokens.begins(c)) {
      parser.handler().place = place;
    }
    json::error_code error;
    if (parser.write_some(true, &c, 1, error) != 1 && !error) {
      error = json::error::extra_data;
    }
    if (error) {
      const bool repeated = parser.handler().repeated;
      return bad(file, place, repeated ? "a key that was there before" : "not valid JSON: " + error.message());
    }
    place = c == '\n' ? Place{place.line + 1, 1} : Place{place.line, place.column + 1};
  }
  json::error_code error;
  parser.write_some(false, "", 0, error);
  if (error) {
    return bad(file, place, "not valid JSON: " + error.message());
  }
  return std::move(parser.handler().root);
}

Error error_at(const Json& where, std::string_view file, const std::string& message) {
  return bad(file, {where.line, where.column}, message);
}

Fields::Fields(const Json& object, std::string_view file) : object_(object), file_(file) {
  if (object.kind != Json::Kind::kObject) {
    fail("an object {...} is expected here");
  }
}

void Fields::fail(const Json& where, const std::string& message) {
  if (status_.ok()) {
    status_ = error_at(where, file_, message);
  }
}

const Json* Fields::any(std::string_view key) {
  asked_.push_back(key);
  return status_.ok() ? object_.find(key) : nullptr;
}

const Json* Fields::get(std::string_view key, Json::Kind kind, std::string_view what) {
  const Json* value = any(key);
  if (value != nullptr && value->kind != kind) {
    fail(*value, "'" + std::string(key) + "' is " + std::string(what));
    return nullptr;
  }
  return value;
}

std::optional<double> Fields::number(std::string_view key, double least, double most) {
  const std::string range = "a number from " + in_words(least) + " to " + in_words(most);
  const Json* value = get(key, Json::Kind::kNumber, range);
  if (value == nullptr) {
    return std::nullopt;
  }
  if (!(value->number >= least && value->number <= most)) {
    fail(*value, "'" + std::string(key) + "' is " + range + ", not " + in_words(value->number));
    return std::nullopt;
  }
  return value->number;
}

std::optional<std::int64_t> Fields::whole(std::string_view key, std::int64_t least, std::int64_t most) {
  const auto value = number(key, static_cast<double>(least), static_cast<double>(most));
  if (!value) {
    return std::nullopt;
  }
  if (*value != std::floor(*value)) {
    fail(*object_.find(key), "'" + std::string(key) + "' is a whole number");
    return std::nullopt;
  }
  return static_cast<std::int64_t>(*value);
}

std::optional<std::string> Fields::text(std::string_view key) {
  const Json* value = get(key, Json::Kind::kText, "a text in quotes");
  if (value == nullptr) {
    return std::nullopt;
  }
  if (value->text.empty() || value->text.size() > kMaxText) {
    fail(*value, "'" + std::string(key) + "' is empty or longer than 4096 bytes");
    return std::nullopt;
  }
  return value->text;
}

std::optional<bool> Fields::truth(std::string_view key) {
  const Json* value = get(key, Json::Kind::kTruth, "true or false");
  return value == nullptr ? std::nullopt : std::optional(value->truth);
}

const Json* Fields::list(std::string_view key) { return get(key, Json::Kind::kList, "a list [...]"); }
const Json* Fields::object(std::string_view key) { return get(key, Json::Kind::kObject, "an object {...}"); }

void Fields::need(std::string_view key, std::string_view why) {
  if (object_.find(key) == nullptr) {
    fail("'" + std::string(key) + "' is missing: " + std::string(why));
  }
}

Status Fields::done() {
  for (const auto& [key, value] : object_.members) {
    if (std::find(asked_.begin(), asked_.end(), key) == asked_.end()) {
      std::string message = "there is no '";
      message.append(key).append("' here; known are");
      for (const std::string_view name : asked_) {
        message.append(name == asked_.front() ? " " : ", ").append(name);
      }
      fail(value, message);
    }
  }
  return status_;
}

}  // namespace tessera::loadgen
