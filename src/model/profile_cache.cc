#include "model/profile_cache.h"

#include <boost/json.hpp>

#include "base/log.h"
#include "model/digest.h"
#include "model/files.h"

namespace tessera::model {
namespace {

namespace json = boost::json;

constexpr Bytes kMaxFileBytes{1 << 20};
constexpr std::size_t kMaxPoints = 4096;
constexpr std::int64_t kFormat = 1;
constexpr std::int64_t kMaxLatencyNs = std::int64_t{3600} * 1'000'000'000;

std::optional<std::int64_t> number(const json::object& object, std::string_view key, std::int64_t most) {
  const json::value* value = object.if_contains({key.data(), key.size()});
  if (value == nullptr || !value->is_int64() || value->get_int64() < 1 || value->get_int64() > most) {
    return std::nullopt;
  }
  return value->get_int64();
}

bool says(const json::object& object, std::string_view key, const std::string& expected) {
  const json::value* value = object.if_contains({key.data(), key.size()});
  return value != nullptr && value->is_string() && std::string_view(value->get_string()) == expected;
}

std::optional<std::vector<sched::ProfilePoint>> parse(const std::string& text, const ProfileKey& key) {
  json::parse_options options;
  options.max_depth = 4;
  boost::system::error_code error;
  const json::value root = json::parse({text.data(), text.size()}, error, {}, options);
  if (error || !root.is_object()) return std::nullopt;
  const json::object& object = root.get_object();
  const json::value* list = object.if_contains("points");
  if (number(object, "format", kFormat) != kFormat || !says(object, "model", key.model) ||
      !says(object, "device", key.device) || !says(object, "engine", key.engine) || list == nullptr ||
      !list->is_array() || list->get_array().size() > kMaxPoints) {
    return std::nullopt;
  }
  std::vector<sched::ProfilePoint> points;
  for (const json::value& entry : list->get_array()) {
    if (!entry.is_object()) return std::nullopt;
    const auto bucket = number(entry.get_object(), "bucket", 1 << 20);
    const auto processors = number(entry.get_object(), "processors", 1 << 20);
    const auto latency = number(entry.get_object(), "latency_ns", kMaxLatencyNs);
    if (!bucket || !processors || !latency) return std::nullopt;
    points.push_back({static_cast<std::int32_t>(*bucket), static_cast<std::int32_t>(*processors), Duration(*latency)});
  }
  return points;
}

}  // namespace

std::filesystem::path ProfileCache::file_of(const ProfileKey& key) const {
  Sha256 sum;
  sum.add_text(key.model);
  sum.add_text(key.device);
  sum.add_text(key.engine);
  return folder_ / "profiles" / (sum.finish() + ".json");
}

std::optional<std::vector<sched::ProfilePoint>> ProfileCache::load(const ProfileKey& key) const {
  if (folder_.empty()) return std::nullopt;
  const std::filesystem::path file = file_of(key);
  const auto text = read_file(file, kMaxFileBytes);
  if (!text.ok() && text.error().code() == ErrorCode::kNotFound) return std::nullopt;
  auto points = text.ok() ? parse(*text, key) : std::nullopt;
  if (!points) {
    log(LogLevel::kWarning, "a kept profile cannot be used and is measured again",
        {{"file", file.string()}, {"reason", text.ok() ? std::string("malformed") : text.error().message()}});
  }
  return points;
}

void ProfileCache::save(const ProfileKey& key, const std::vector<sched::ProfilePoint>& points) const {
  if (folder_.empty() || points.empty()) return;
  json::array list;
  for (const sched::ProfilePoint& point : points) {
    if (list.size() == kMaxPoints) break;
    const std::int64_t latency = std::clamp<std::int64_t>(point.latency.count(), 1, kMaxLatencyNs);
    list.push_back({{"bucket", point.bucket}, {"processors", point.processors}, {"latency_ns", latency}});
  }
  const json::object object{{"format", kFormat},
                            {"model", key.model},
                            {"device", key.device},
                            {"engine", key.engine},
                            {"points", std::move(list)}};
  const std::filesystem::path file = file_of(key);
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  if (const Status written = write_atomically(file, json::serialize(object) + "\n"); !written.ok()) {
    log(LogLevel::kWarning, "a profile could not be kept", {{"reason", written.error().message()}});
  }
}

}  // namespace tessera::model
