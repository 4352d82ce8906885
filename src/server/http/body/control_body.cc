#include "server/http/body/control_body.h"

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <new>
#include <optional>
#include <utility>

namespace tessera::server::http {
namespace {

namespace json = boost::json;

// Bounds what a document may take, since "[0,0,0,..." needs many times its own size. Owned by one parse.
class BoundedResource final : public json::memory_resource {
 public:
  explicit BoundedResource(std::size_t limit) : left_(limit) {}

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    if (size > left_) {
      throw std::bad_alloc();
    }
    // The library asks for less here than it names when it gives back, so the default serves all.
    TESSERA_CHECK(alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    void* memory = ::operator new(size);
    left_ -= size;
    return memory;
  }
  void do_deallocate(void* memory, std::size_t size, std::size_t) override {
    ::operator delete(memory);
    left_ += size;
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  std::size_t left_;
};

constexpr std::size_t kDocumentOverhead = 1 << 20;
constexpr std::size_t kMaxDepth = 32;

// Calls `use` with the body's object, which lives no longer.
template <typename Use>
auto with_object(std::string_view body, Use use) -> decltype(use(std::declval<const json::object&>())) {
  BoundedResource memory(3 * body.size() + kDocumentOverhead);
  json::parse_options options;
  options.max_depth = kMaxDepth;
  try {
    json::error_code error;
    const json::value document = body.find_first_not_of(" \t\r\n") == std::string_view::npos
                                     ? json::value(json::object(&memory))
                                     : json::parse({body.data(), body.size()}, error, &memory, options);
    if (error) {
      return invalid_argument("malformed JSON: " + error.message());
    }
    const json::object* object = document.if_object();
    if (object == nullptr) {
      return invalid_argument("the body must be a JSON object");
    }
    return use(*object);
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::kTooLarge, "the JSON has too many values");
  }
}

std::string text_of(json::string_view text) { return {text.data(), text.size()}; }

// As a person would write it.
std::string text_of(double number) {
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr};
}

Result<std::uint64_t> number_field(const json::object& object, std::string_view name,
                                   std::optional<std::uint64_t> absent) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  if (value == nullptr && absent) {
    return *absent;
  }
  if (value != nullptr && value->is_int64() && value->get_int64() >= 0) {
    return static_cast<std::uint64_t>(value->get_int64());
  }
  if (value != nullptr && value->is_uint64()) {
    return value->get_uint64();
  }
  return invalid_argument("'" + std::string(name) + "' must be a whole number of at least 0");
}

Status load_parameter(const std::string& name, const json::value& value, model::LoadRequest& request) {
  constexpr std::string_view kFile = "file:";
  const bool is_file = name.compare(0, kFile.size(), kFile) == 0;
  if (name != "config" && !is_file) {
    return invalid_argument("unknown load parameter '" + name + "': 'config' and 'file:<version>/<name>' are known");
  }
  const json::string* text = value.if_string();
  if (text == nullptr) {
    return invalid_argument("load parameter '" + name + "' must be a string");
  }
  if (!is_file) {
    request.config_json = text_of(*text);
    return ok_status();
  }
  std::string content;
  if (!decode_base64({text->data(), text->size()}, content)) {
    return invalid_argument("load parameter '" + name + "' is not base64");
  }
  request.files[name.substr(kFile.size())] = std::move(content);
  return ok_status();
}

}  // namespace

Result<bool> index_ready_only(std::string_view body) {
  return with_object(body, [](const json::object& object) -> Result<bool> {
    const json::value* ready = object.if_contains("ready");
    if (ready == nullptr) {
      return false;
    }
    return ready->is_bool() ? Result<bool>(ready->get_bool())
                            : Result<bool>(invalid_argument("'ready' must be true or false"));
  });
}

Result<RegisterBody> register_body(std::string_view body) {
  return with_object(body, [](const json::object& object) -> Result<RegisterBody> {
    RegisterBody result;
    const json::value* key = object.if_contains("key");
    if (key == nullptr || !key->is_string()) {
      return invalid_argument("'key' must be a string");
    }
    result.key = text_of(key->get_string());
    TESSERA_ASSIGN_OR_RETURN(result.offset, number_field(object, "offset", 0));
    TESSERA_ASSIGN_OR_RETURN(result.byte_size, number_field(object, "byte_size", std::nullopt));
    return result;
  });
}

Result<model::LoadRequest> load_body(std::string_view model, std::string_view body) {
  return with_object(body, [model](const json::object& object) -> Result<model::LoadRequest> {
    model::LoadRequest request;
    request.name = std::string(model);
    const json::value* parameters = object.if_contains("parameters");
    if (parameters == nullptr || parameters->is_null()) {
      return request;
    }
    if (!parameters->is_object()) {
      return invalid_argument("'parameters' must be an object");
    }
    for (const auto& [name, value] : parameters->get_object()) {
      TESSERA_RETURN_IF_ERROR(load_parameter(text_of(name), value, request));
    }
    if (!request.files.empty() && !request.config_json) {
      return invalid_argument("files can be given together with 'config' only");
    }
    return request;
  });
}

Status unload_body(std::string_view body) {
  return with_object(body, [](const json::object&) { return ok_status(); });
}

Result<model::ParamChanges> params_body(std::string_view body) {
  return with_object(body, [](const json::object& object) -> Result<model::ParamChanges> {
    model::ParamChanges changes;
    if (object.empty() || object.size() > kMaxChangedParams) {
      return invalid_argument("the body must name the parameters that change, from 1 to " +
                              std::to_string(kMaxChangedParams) + " of them, as in {\"slo_ms\": 50}");
    }
    for (const auto& [key, value] : object) {
      std::string name(key.data(), key.size());
      if (value.is_null()) {
        changes.emplace_back(std::move(name), std::nullopt);
      } else if (value.is_string()) {
        changes.emplace_back(std::move(name), text_of(value.get_string()));
      } else if (value.is_bool()) {
        changes.emplace_back(std::move(name), value.get_bool() ? "true" : "false");
      } else if (value.is_number()) {
        changes.emplace_back(std::move(name), text_of(value.to_number<double>()));
      } else {
        return invalid_argument(name.substr(0, 80) + ": must be a number, true, false, a string or null");
      }
    }
    return changes;
  });
}

namespace {

// {"`field`": "..."} and nothing else.
Result<std::string> one_text(std::string_view body, std::string_view field, std::size_t most) {
  return with_object(body, [&](const json::object& object) -> Result<std::string> {
    for (const auto& [key, value] : object) {
      if (key != field) {
        return invalid_argument("unknown field '" + std::string(key.data(), std::min<std::size_t>(key.size(), 80)) +
                                "': '" + std::string(field) + "' is known");
      }
    }
    const json::value* text = object.if_contains(field);
    if (text == nullptr || !text->is_string() || text->get_string().size() > most) {
      return invalid_argument("'" + std::string(field) + "' must be a string of at most " + std::to_string(most) +
                              " bytes");
    }
    return text_of(text->get_string());
  });
}

}  // namespace

Result<std::string> policy_body(std::string_view body) { return one_text(body, "policy", kMaxPolicyText); }
Result<std::string> device_body(std::string_view body) { return one_text(body, "add", kMaxDeviceText); }

bool decode_base64(std::string_view text, std::string& bytes) {
  static const std::array<std::int8_t, 256> kValues = [] {
    std::array<std::int8_t, 256> values{};
    values.fill(-1);
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
      values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
    }
    return values;
  }();
  if (text.size() % 4 != 0) {
    return false;
  }
  bytes.clear();
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    const std::size_t padding = !last || text[i + 3] != '=' ? 0 : (text[i + 2] == '=' ? 2 : 1);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const int value = j >= 4 - padding ? 0 : kValues[static_cast<unsigned char>(text[i + j])];
      if (value < 0) {
        return false;
      }
      group = (group << 6) | static_cast<std::uint32_t>(value);
    }
    for (std::size_t j = 0; j < 3 - padding; ++j) {
      bytes.push_back(static_cast<char>(group >> (16 - 8 * j)));
    }
  }
  return true;
}

}  // namespace tessera::server::http
