#include "sim/profiles.h"

#include <cmath>
#include <utility>

#include "loadgen/json.h"
#include "loadgen/text.h"

namespace tessera::sim {
namespace {

using loadgen::Fields;
using loadgen::Json;

constexpr double kMaxUs = 3.6e9;
constexpr std::size_t kMaxAtoms = 1024;
constexpr std::size_t kMaxPoints = 4096;

Duration us(double value) { return Duration(std::llround(value * 1e3)); }
Bytes mb(double value) { return Bytes{static_cast<std::uint64_t>(value * 1e6)}; }

bool whole(double value) { return value >= 1 && value <= 65536 && value == std::floor(value); }

// "points": [[rows, processors, microseconds], ...]
Status points(const Json& list, std::string_view file, std::vector<sched::ProfilePoint>& out) {
  for (const Json& entry : list.items) {
    const auto& cells = entry.items;
    bool good = cells.size() == 3;
    for (const Json& cell : cells) {
      good = good && cell.kind == Json::Kind::kNumber && cell.number > 0 && cell.number <= kMaxUs;
    }
    if (!good || !whole(cells[0].number) || !whole(cells[1].number)) {
      return error_at(entry, file, "a point is [ROWS, PROCESSORS, MICROSECONDS]: two whole numbers, a time above 0");
    }
    out.push_back(
        {static_cast<std::int32_t>(cells[0].number), static_cast<std::int32_t>(cells[1].number), us(cells[2].number)});
  }
  if (out.empty() || out.size() > kMaxPoints) {
    return error_at(list, file, "a model has from 1 to 4096 points");
  }
  return ok_status();
}

Status model(const Json& object, std::string_view file, ModelProfile& out) {
  Fields fields(object, file);
  out.memory = mb(fields.number("memory_mb", 0, 1e9).value_or(0));
  out.neighbour = fields.number("neighbour", 0, 10);
  out.contention = fields.number("contention", 0, 10);
  fields.need("points", "the measured latencies");
  const Json* list = fields.list("points");
  TESSERA_RETURN_IF_ERROR(fields.done());
  return points(*list, file, out.points);
}

// "processors": how many each atom has.
Status shape(const Json& list, std::string_view file, DeviceShape& out) {
  for (const Json& entry : list.items) {
    if (entry.kind != Json::Kind::kNumber || !whole(entry.number) || entry.number > 1024) {
      return error_at(entry, file, "an atom has from 1 to 1024 processors");
    }
    out.processors.push_back(static_cast<std::uint16_t>(entry.number));
  }
  if (out.processors.empty() || out.processors.size() > kMaxAtoms) {
    return error_at(list, file, "a device has from 1 to 1024 atoms");
  }
  out.ladder = aligned_ladder(out.atoms());
  out.loader = loader_slice(out.atoms());
  return ok_status();
}

Status device(const Json& object, std::string_view file, DeviceProfile& out) {
  Fields fields(object, file);
  for (const char* text : {"hardware", "source", "date", "note"}) {
    fields.text(text);
  }
  fields.need("source", "say where the latencies come from");
  fields.need("date", "say when they were measured");
  fields.need("processors", "how many each atom has");
  fields.need("models", "an object: a name and a profile each");
  out.memory = mb(fields.number("memory_mb", 0, 1e9).value_or(0));
  out.shape.committed_per_atom = static_cast<std::uint16_t>(fields.whole("committed_per_atom", 0, 8).value_or(0));
  out.traits.host_overhead = us(fields.number("host_overhead_us", 0, 1e6).value_or(0));
  out.traits.noise = fields.number("noise", 0, 1).value_or(0);
  out.traits.jitter = us(fields.number("jitter_us", 0, 1e6).value_or(0));
  out.traits.beside.neighbour = fields.number("neighbour", 0, 10).value_or(0);
  out.traits.beside.contention = fields.number("contention", 0, 10).value_or(0);
  out.traits.contention_noise = fields.number("contention_noise", 0, 1).value_or(0);
  const Json* atoms = fields.list("processors");
  const Json* models = fields.object("models");
  TESSERA_RETURN_IF_ERROR(fields.done());
  TESSERA_RETURN_IF_ERROR(shape(*atoms, file, out.shape));
  for (const auto& [name, value] : models->members) {
    TESSERA_RETURN_IF_ERROR(model(value, file, out.models[name]));
  }
  return ok_status();
}

}  // namespace

Result<const ModelProfile*> DeviceProfile::model(std::string_view name) const {
  const auto found = models.find(name);
  if (found != models.end()) {
    return &found->second;
  }
  std::string message = "device " + shape.name + " has no profile of model '" + std::string(name) + "'; it has";
  for (const auto& entry : models) {
    message.append(entry.first == models.begin()->first ? " " : ", ").append(entry.first);
  }
  return not_found(message + ". Measure it and add its points to the profiles, or leave the tenant out");
}

Status DeviceProfile::stand_in(const loadgen::Workload& workload) {
  for (const auto& [name, stand_in] : workload.stand_ins) {
    if (models.count(name) > 0) {
      continue;
    }
    const auto found = model(stand_in.as);
    if (!found.ok()) {
      return found.error().in("what stands in for '" + name + "'");
    }
    ModelProfile made = **found;
    for (sched::ProfilePoint& point : made.points) {
      point.latency = Duration(std::llround(static_cast<double>(point.latency.count()) * stand_in.scale));
    }
    models.emplace(name, std::move(made));
  }
  return ok_status();
}

Duration DeviceProfile::whole(const ModelProfile& model, std::int32_t rows) const {
  return sched::Profile(model.points).latency(rows, shape.processors_in(shape.whole())).value_or(Duration{0});
}

Result<std::map<std::string, DeviceProfile>> parse_profiles(std::string_view text, std::string_view file) {
  TESSERA_ASSIGN_OR_RETURN(const Json root, loadgen::parse_json(text, file));
  Fields fields(root, file);
  fields.need("devices", "an object: a name and a device each");
  const Json* devices = fields.object("devices");
  TESSERA_RETURN_IF_ERROR(fields.done());
  std::map<std::string, DeviceProfile> out;
  for (const auto& [name, value] : devices->members) {
    DeviceProfile& made = out[name];
    made.shape.name = name;
    TESSERA_RETURN_IF_ERROR(device(value, file, made));
  }
  return out;
}

std::string profiles_json(const MeasuredDevice& about, const DeviceProfile& device) {
  using loadgen::digits;
  using loadgen::quoted;
  const auto micros = [](Duration span) { return digits(static_cast<double>(span.count()) / 1e3); };
  std::string out = "{\n  \"devices\": {\n    " + quoted(about.name) +
                    ": {\n      \"hardware\": " + quoted(about.hardware) +
                    ",\n      \"source\": " + quoted(about.source) + ",\n      \"date\": " + quoted(about.date);
  if (!about.note.empty()) {
    out += ",\n      \"note\": " + quoted(about.note);
  }
  std::string processors;
  for (const std::uint16_t each : device.shape.processors) {
    processors += (processors.empty() ? "" : ", ") + std::to_string(each);
  }
  out += ",\n      \"processors\": [" + processors +
         "],\n      \"committed_per_atom\": " + std::to_string(device.shape.committed_per_atom) +
         ",\n      \"host_overhead_us\": " + micros(device.traits.host_overhead) +
         ",\n      \"noise\": " + digits(device.traits.noise) +
         ",\n      \"jitter_us\": " + micros(device.traits.jitter) +
         ",\n      \"neighbour\": " + digits(device.traits.beside.neighbour) +
         ",\n      \"contention\": " + digits(device.traits.beside.contention) +
         ",\n      \"contention_noise\": " + digits(device.traits.contention_noise) +
         ",\n      \"memory_mb\": " + digits(static_cast<double>(device.memory.value) / 1e6) + ",\n      \"models\": {";
  const char* comma = "";
  for (const auto& [name, model] : device.models) {
    out += std::string(comma) + "\n        " + quoted(name) +
           ": {\n          \"memory_mb\": " + digits(static_cast<double>(model.memory.value) / 1e6) +
           (model.neighbour ? ",\n          \"neighbour\": " + digits(*model.neighbour) : "") +
           (model.contention ? ",\n          \"contention\": " + digits(*model.contention) : "") +
           ",\n          \"points\": [";
    std::int32_t rows = 0;
    for (const sched::ProfilePoint& point : model.points) {
      out += (rows == 0 ? "" : ",") + std::string(point.bucket == rows ? " " : "\n            ") + "[" +
             std::to_string(point.bucket) + ", " + std::to_string(point.processors) + ", " + micros(point.latency) +
             "]";
      rows = point.bucket;
    }
    out += "\n          ]\n        }";
    comma = ",";
  }
  return out + "\n      }\n    }\n  }\n}\n";
}

}  // namespace tessera::sim
