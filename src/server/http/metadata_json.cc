#include "server/http/metadata_json.h"

#include "model/live_params.h"
#include "server/http/body/json_text.h"

namespace tessera::server::http {
namespace {

// Appends `items` with commas between them.
template <typename Items, typename Append>
void append_list(std::string& out, const Items& items, Append append) {
  out += '[';
  bool first = true;
  for (const auto& item : items) {
    if (!first) {
      out += ',';
    }
    first = false;
    append(item);
  }
  out += ']';
}

void append_texts(std::string& out, std::span<const std::string> texts) {
  append_list(out, texts, [&out](const std::string& text) { append_json_text(out, text); });
}

void append_text_field(std::string& out, std::string_view name, std::string_view text) {
  append_json_text(out, name);
  out += ':';
  append_json_text(out, text);
}

template <typename Integer>
void append_field(std::string& out, std::string_view name, Integer value) {
  append_json_text(out, name);
  out += ':';
  append_integer(out, value);
}

void append_tensors(std::string& out, std::span<const TensorMetadata> tensors) {
  append_list(out, tensors, [&out](const TensorMetadata& tensor) {
    out += '{';
    append_text_field(out, "name", tensor.name);
    out += ',';
    append_text_field(out, "datatype", tensor.datatype);
    out += ",\"shape\":";
    append_list(out, tensor.shape, [&out](std::int64_t dim) { append_integer(out, dim); });
    out += '}';
  });
}

void append_duration(std::string& out, std::string_view name, const runtime::CountAndTime& value) {
  append_json_text(out, name);
  out += ":{";
  append_field(out, "count", value.count);
  out += ',';
  append_field(out, "ns", value.total.count());
  out += '}';
}

void append_batches(std::string& out, const runtime::ModelStatistics& model) {
  append_list(out, model.batches, [&out](const auto& entry) {
    const auto& [size, batch] = entry;
    out += '{';
    append_field(out, "batch_size", size);
    out += ',';
    append_duration(out, "compute_input", batch.compute_input);
    out += ',';
    append_duration(out, "compute_infer", batch.compute_infer);
    out += ',';
    append_duration(out, "compute_output", batch.compute_output);
    out += '}';
  });
}

void append_model(std::string& out, const runtime::ModelStatistics& model) {
  out += '{';
  append_text_field(out, "name", model.model);
  out += ',';
  append_text_field(out, "version", std::to_string(model.version));
  out += ',';
  append_field(out, "last_inference", model.last_inference_ms);
  out += ',';
  append_field(out, "inference_count", model.inference_count);
  out += ',';
  append_field(out, "execution_count", model.execution_count);
  out += ",\"inference_stats\":{";
  append_duration(out, "success", model.success);
  out += ',';
  append_duration(out, "fail", model.fail);
  out += ',';
  append_duration(out, "queue", model.queue);
  out += ',';
  append_duration(out, "compute_input", model.compute_input);
  out += ',';
  append_duration(out, "compute_infer", model.compute_infer);
  out += ',';
  append_duration(out, "compute_output", model.compute_output);
  out += ',';
  append_duration(out, "cache_hit", {});
  out += ',';
  append_duration(out, "cache_miss", {});
  out += "},\"response_stats\":{},\"batch_stats\":";
  append_batches(out, model);
  out += ",\"memory_usage\":[]}";
}

}  // namespace

std::string server_metadata_json(const ServerMetadata& metadata) {
  std::string out = "{";
  append_text_field(out, "name", metadata.name);
  out += ',';
  append_text_field(out, "version", metadata.version);
  out += ",\"extensions\":";
  append_texts(out, metadata.extensions);
  return out += '}';
}

std::string model_metadata_json(const ModelMetadata& metadata) {
  std::string out = "{";
  append_text_field(out, "name", metadata.name);
  out += ",\"versions\":";
  append_texts(out, metadata.versions);
  out += ',';
  append_text_field(out, "platform", metadata.platform);
  out += ",\"inputs\":";
  append_tensors(out, metadata.inputs);
  out += ",\"outputs\":";
  append_tensors(out, metadata.outputs);
  return out += '}';
}

std::string statistics_json(std::span<const runtime::ModelStatistics> models) {
  std::string out = "{\"model_stats\":";
  append_list(out, models, [&out](const runtime::ModelStatistics& model) { append_model(out, model); });
  return out += '}';
}

std::string index_json(std::span<const model::IndexEntry> entries) {
  std::string out;
  append_list(out, entries, [&out](const model::IndexEntry& entry) {
    out += '{';
    append_text_field(out, "name", entry.name);
    // Triton leaves out what it has nothing to say about.
    if (!entry.version.empty()) {
      out += ',';
      append_text_field(out, "version", entry.version);
    }
    if (!entry.state.empty()) {
      out += ',';
      append_text_field(out, "state", entry.state);
    }
    if (!entry.reason.empty()) {
      out += ',';
      append_text_field(out, "reason", entry.reason);
    }
    out += '}';
  });
  return out;
}

std::string regions_json(std::span<const SharedMemoryRegion> regions) {
  std::string out;
  append_list(out, regions, [&out](const SharedMemoryRegion& region) {
    out += '{';
    append_text_field(out, "name", region.name);
    out += ',';
    append_text_field(out, "key", region.key);
    out += ',';
    append_field(out, "offset", region.offset);
    out += ',';
    append_field(out, "byte_size", region.byte_size);
    out += '}';
  });
  return out;
}

std::string model_names_json(std::span<const std::string> names) {
  std::string out = "{\"models\":";
  append_texts(out, names);
  return out += '}';
}

std::string model_ready_json(std::string_view model) {
  std::string out = "{";
  append_text_field(out, "name", model);
  return out += ",\"ready\":true}";
}

std::string params_json(const sched::LiveParams& params) {
  std::string out;
  for (const auto& [name, value] : model::written_params(params)) {
    out += out.empty() ? '{' : ',';
    append_json_text(out, name);
    out += ':';
    if (name == "slo_policy") {
      append_json_text(out, *value);
    } else {
      out += value.value_or("null");
    }
  }
  return out += '}';
}

std::string policy_json(std::string_view policy) {
  std::string out = "{";
  append_text_field(out, "policy", policy);
  return out += '}';
}

std::string devices_json(std::span<const runtime::DeviceStatistics> devices) {
  std::string out = "{\"devices\":";
  append_list(out, devices, [&out](const runtime::DeviceStatistics& device) {
    out += '{';
    append_text_field(out, "device", device.device);
    out.append(",\"up\":").append(device.up ? "true" : "false").append(",");
    append_field(out, "stuck", device.stuck);
    out += ',';
    append_field(out, "launches", device.launches);
    out += '}';
  });
  return out += '}';
}

}  // namespace tessera::server::http
