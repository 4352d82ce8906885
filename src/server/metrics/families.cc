#include "server/metrics/families.h"

#include <prometheus/metric_type.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace tessera::server {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using runtime::ModelStatistics;
using Labels = std::vector<ClientMetric::Label>;
using Models = std::vector<ModelStatistics>;

double seconds(Duration span) { return std::chrono::duration<double>(span).count(); }
double microseconds(Duration span) { return std::chrono::duration<double, std::micro>(span).count(); }

MetricFamily family(std::string name, std::string help, MetricType type) {
  MetricFamily out;
  out.name = std::move(name);
  out.help = std::move(help);
  out.type = type;
  return out;
}

void add(MetricFamily& family, Labels labels, double value) {
  ClientMetric& metric = family.metric.emplace_back();
  metric.label = std::move(labels);
  if (family.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
}

Labels labels_of(const ModelStatistics& model) {
  return {{"model", model.model}, {"version", std::to_string(model.version)}};
}

Labels with(Labels labels, std::string name, std::string value) {
  labels.push_back({std::move(name), std::move(value)});
  return labels;
}

// One sample a model version.
struct PerModel {
  const char* name;
  const char* help;
  MetricType type;
  double (*value)(const ModelStatistics&);
};

constexpr std::array kPerModel = {
    PerModel{"nv_inference_request_success", "Requests answered with a result", MetricType::Counter,
             [](const ModelStatistics& m) { return static_cast<double>(m.success.count); }},
    PerModel{"nv_inference_count", "Rows computed", MetricType::Counter,
             [](const ModelStatistics& m) { return static_cast<double>(m.inference_count); }},
    PerModel{"nv_inference_exec_count", "Batches computed", MetricType::Counter,
             [](const ModelStatistics& m) { return static_cast<double>(m.execution_count); }},
    PerModel{"nv_inference_pending_request_count", "Requests that wait to be launched", MetricType::Gauge,
             [](const ModelStatistics& m) { return static_cast<double>(m.pending); }},
    PerModel{"nv_inference_request_duration_us", "Time from arrival to answer, summed over successful requests",
             MetricType::Counter, [](const ModelStatistics& m) { return microseconds(m.success.total); }},
    PerModel{"nv_inference_queue_duration_us", "Time in the queue, summed over successful requests",
             MetricType::Counter, [](const ModelStatistics& m) { return microseconds(m.queue.total); }},
    PerModel{"nv_inference_compute_input_duration_us", "Time to lay out inputs, summed over successful requests",
             MetricType::Counter, [](const ModelStatistics& m) { return microseconds(m.compute_input.total); }},
    PerModel{"nv_inference_compute_infer_duration_us", "Time in the model, summed over successful requests",
             MetricType::Counter, [](const ModelStatistics& m) { return microseconds(m.compute_infer.total); }},
    PerModel{"nv_inference_compute_output_duration_us", "Time to take out outputs, summed over successful requests",
             MetricType::Counter, [](const ModelStatistics& m) { return microseconds(m.compute_output.total); }},
    PerModel{"tessera_weight", "Weight of the model where not all demand fits", MetricType::Gauge,
             [](const ModelStatistics& m) { return m.params.weight; }},
    PerModel{"tessera_reserved_share", "Share of the atoms that is the model's floor", MetricType::Gauge,
             [](const ModelStatistics& m) { return m.params.reserved_share; }},
    PerModel{"tessera_max_share", "Share of the atoms that is the model's ceiling", MetricType::Gauge,
             [](const ModelStatistics& m) { return m.params.max_share; }},
    PerModel{"tessera_slo_impossible", "1 where the latency objective is below the fastest measured run of the model",
             MetricType::Gauge, [](const ModelStatistics& m) { return m.slo_is_impossible() ? 1.0 : 0.0; }},
    PerModel{"tessera_slice_atom_seconds_total", "Slice time used: seconds times atoms", MetricType::Counter,
             [](const ModelStatistics& m) { return m.atom_seconds; }},
    PerModel{"tessera_uncaptured_batches_total",
             "Batches that were launched kernel by kernel, since the model cannot be captured", MetricType::Counter,
             [](const ModelStatistics& m) { return static_cast<double>(m.uncaptured_batches); }},
    PerModel{"tessera_requests_with_slo_total", "Requests, answered or rejected, that had a latency objective",
             MetricType::Counter, [](const ModelStatistics& m) { return static_cast<double>(m.with_slo); }},
    PerModel{"tessera_evictions_total", "How often the model left its device for want of memory", MetricType::Counter,
             [](const ModelStatistics& m) { return static_cast<double>(m.evictions); }},
    PerModel{"tessera_requests_waiting_for_return", "Requests that wait until the model is loaded again",
             MetricType::Gauge, [](const ModelStatistics& m) { return static_cast<double>(m.waiting_for_return); }},
    PerModel{"tessera_requests_slo_met_total", "Requests answered within their latency objective", MetricType::Counter,
             [](const ModelStatistics& m) { return static_cast<double>(m.met_slo); }},
};

MetricFamily slo_family(const Models& models) {
  MetricFamily out = family("tessera_slo_seconds", "Latency objective of the models that have one", MetricType::Gauge);
  for (const ModelStatistics& m : models) {
    if (m.params.slo) add(out, labels_of(m), seconds(*m.params.slo));
  }
  return out;
}

MetricFamily attainment_family(const Models& models) {
  MetricFamily out = family("tessera_attainment", "Share of the requests with an objective that met it, since the load",
                            MetricType::Gauge);
  for (const ModelStatistics& m : models) {
    if (m.with_slo > 0) add(out, labels_of(m), static_cast<double>(m.met_slo) / static_cast<double>(m.with_slo));
  }
  return out;
}

// Triton's reasons for a failure. All are shown, as sums need samples that exist.
constexpr std::array<std::string_view, 4> kTritonReasons = {"REJECTED", "CANCELED", "BACKEND", "OTHER"};

std::string_view triton_reason(std::string_view reason) {
  if (reason == "queue_full" || reason == "timeout" || reason == "deadline") return kTritonReasons[0];
  if (reason == "cancelled") return kTritonReasons[1];
  if (reason == "engine" || reason == "device") return kTritonReasons[2];
  return kTritonReasons[3];
}

MetricFamily failure_family(const Models& models) {
  MetricFamily out = family("nv_inference_request_failure", "Requests without a result", MetricType::Counter);
  for (const ModelStatistics& m : models) {
    for (const std::string_view shown : kTritonReasons) {
      double count = 0;
      for (const auto& [reason, failed] : m.failures) {
        if (triton_reason(reason) == shown) count += static_cast<double>(failed);
      }
      add(out, with(labels_of(m), "reason", std::string(shown)), count);
    }
  }
  return out;
}

MetricFamily rejected_family(const Models& models) {
  MetricFamily out =
      family("tessera_rejected_total", "Requests without a result, by what ended them", MetricType::Counter);
  for (const ModelStatistics& m : models) {
    for (const auto& [reason, count] : m.failures) {
      add(out, with(labels_of(m), "reason", reason), static_cast<double>(count));
    }
  }
  return out;
}

MetricFamily launches_family(const Models& models) {
  MetricFamily out = family("tessera_launches_total", "Batches that ran on an atom of the device", MetricType::Counter);
  for (const ModelStatistics& m : models) {
    for (const auto& [place, count] : m.launches_by_atom) {
      const Labels on_device = with(labels_of(m), "device", place.first);
      add(out, with(on_device, "atom", std::to_string(place.second)), static_cast<double>(count));
    }
  }
  return out;
}

MetricFamily memory_family(const Models& models) {
  MetricFamily out = family("tessera_model_memory_bytes",
                            "What a loaded model holds of its device's memory, by what it is for; packed_again: packed "
                            "once more by sessions that do so in another order",
                            MetricType::Gauge);
  for (const ModelStatistics& m : models) {
    for (const auto& [device, use] : m.memory) {
      const Labels on_device = with(labels_of(m), "device", device);
      const std::array<std::pair<const char*, std::uint64_t>, 4> parts{{
          {"weights", use.weights.value},
          {"packed", use.packed.value - std::min(use.packed.value, use.again.value)},
          {"packed_again", use.again.value},
          {"working", use.working.value},
      }};
      for (const auto& [part, bytes] : parts) add(out, with(on_device, "part", part), static_cast<double>(bytes));
    }
  }
  return out;
}

MetricFamily batch_family(const Models& models) {
  MetricFamily out = family("tessera_batches_total", "Batches by the number of rows computed", MetricType::Counter);
  for (const ModelStatistics& m : models) {
    for (const auto& [size, batch] : m.batches) {
      add(out, with(labels_of(m), "size", std::to_string(size)), static_cast<double>(batch.compute_infer.count));
    }
  }
  return out;
}

// Upper edges, three a decade from 25 us to a minute.
constexpr std::array<Duration, 20> kEdges = {
    std::chrono::microseconds(25),   std::chrono::microseconds(50),  std::chrono::microseconds(100),
    std::chrono::microseconds(250),  std::chrono::microseconds(500), std::chrono::milliseconds(1),
    std::chrono::microseconds(2500), std::chrono::milliseconds(5),   std::chrono::milliseconds(10),
    std::chrono::milliseconds(25),   std::chrono::milliseconds(50),  std::chrono::milliseconds(100),
    std::chrono::milliseconds(250),  std::chrono::milliseconds(500), std::chrono::seconds(1),
    std::chrono::milliseconds(2500), std::chrono::seconds(5),        std::chrono::seconds(10),
    std::chrono::seconds(30),        std::chrono::seconds(60)};

MetricFamily histogram_family(const Models& models, const char* name, const char* help,
                              Histogram ModelStatistics::*source) {
  MetricFamily out = family(name, help, MetricType::Histogram);
  for (const ModelStatistics& m : models) {
    const Histogram& from = m.*source;
    ClientMetric& metric = out.metric.emplace_back();
    metric.label = labels_of(m);
    metric.histogram.sample_count = from.count();
    metric.histogram.sample_sum = seconds(from.sum());
    for (const Duration edge : kEdges) metric.histogram.bucket.push_back({from.count_up_to(edge), seconds(edge)});
    metric.histogram.bucket.push_back({from.count(), std::numeric_limits<double>::infinity()});
  }
  return out;
}

}  // namespace

std::vector<MetricFamily> model_families(const Models& all) {
  const Models models(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), kMaxModelVersions)));
  std::vector<MetricFamily> out;
  for (const PerModel& figure : kPerModel) {
    MetricFamily& added = out.emplace_back(family(figure.name, figure.help, figure.type));
    for (const ModelStatistics& m : models) add(added, labels_of(m), figure.value(m));
  }
  out.push_back(failure_family(models));
  out.push_back(rejected_family(models));
  out.push_back(slo_family(models));
  out.push_back(attainment_family(models));
  out.push_back(launches_family(models));
  out.push_back(memory_family(models));
  out.push_back(batch_family(models));
  out.push_back(histogram_family(models, "tessera_request_latency_seconds",
                                 "Time from arrival to answer ready, successful requests", &ModelStatistics::latency));
  out.push_back(histogram_family(models, "tessera_queue_time_seconds", "Time in the queue, successful requests",
                                 &ModelStatistics::queue_time));
  Models left(models);
  std::erase_if(left, [](const ModelStatistics& m) { return m.evictions == 0; });
  out.push_back(histogram_family(left, "tessera_return_time_seconds",
                                 "Time from arrival to answer ready, successful requests that waited until their model "
                                 "was loaded again",
                                 &ModelStatistics::return_time));
  MetricFamily omitted = family("tessera_models_not_shown", "Model versions left out here", MetricType::Gauge);
  add(omitted, {}, static_cast<double>(all.size() - models.size()));
  out.push_back(std::move(omitted));
  return out;
}

MetricFamily policy_family(const std::string& policy) {
  MetricFamily out = family("tessera_policy", "1 for the scheduling policy that decides now", MetricType::Gauge);
  add(out, {{"policy", policy}}, 1);
  return out;
}

std::vector<MetricFamily> device_families(const std::vector<runtime::DeviceStatistics>& devices) {
  MetricFamily busy =
      family("tessera_atom_busy_seconds_total", "Time in which an atom ran batches", MetricType::Counter);
  MetricFamily launches = family("tessera_device_launches_total", "Batches launched on a device", MetricType::Counter);
  MetricFamily dispatching =
      family("tessera_dispatching_seconds_total", "Time in which a thread held the role of the device's dispatcher",
             MetricType::Counter);
  MetricFamily up = family("tessera_device_up", "0 once a device is lost", MetricType::Gauge);
  MetricFamily stuck = family("tessera_device_stuck_launches", "Batches that do not end", MetricType::Gauge);
  std::uint64_t copied = 0;
  for (const runtime::DeviceStatistics& device : devices) {
    const Labels labels = {{"device", device.device}};
    for (std::size_t atom = 0; atom < device.busy_seconds.size(); ++atom) {
      add(busy, with(labels, "atom", std::to_string(atom)), device.busy_seconds[atom]);
    }
    add(launches, labels, static_cast<double>(device.launches));
    add(dispatching, labels, device.dispatching_seconds);
    add(up, labels, device.up ? 1 : 0);
    add(stuck, labels, static_cast<double>(device.stuck));
    copied += device.copied_tensor_bytes;
  }
  std::vector<MetricFamily> out{std::move(busy), std::move(launches), std::move(dispatching), std::move(up),
                                std::move(stuck)};
  add(out.emplace_back(family("tessera_copied_tensor_bytes_total",
                              "Tensor bytes copied from one user-space place to another", MetricType::Counter)),
      {}, static_cast<double>(copied));
  // No pinned memory on a host without GPUs; dashboards made for Triton ask for both.
  for (const char* name : {"nv_pinned_memory_pool_total_bytes", "nv_pinned_memory_pool_used_bytes"}) {
    add(out.emplace_back(family(name, "Pinned host memory", MetricType::Gauge)), {}, 0);
  }
  return out;
}

}  // namespace tessera::server
