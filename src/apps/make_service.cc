#include "apps/make_service.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace tessera::apps {
namespace {

runtime::ServiceOptions service_options(const ServeOptions& options, const std::string& device_kind) {
  runtime::ServiceOptions out;
  out.policy = options.policy;
  out.max_waiting = options.max_waiting;
  out.strict_readiness = options.strict_readiness;
  out.models.repositories = options.repositories;
  out.models.control = options.control;
  out.models.load_at_start = options.load_models;
  out.models.poll_interval = options.poll_interval;
  out.models.cache_dir = options.cache_dir;
  out.models.defaults.device_kind = device_kind;
  if (options.default_slo) out.models.defaults.slo = std::chrono::duration_cast<Duration>(*options.default_slo);
  return out;
}

}  // namespace

Result<std::unique_ptr<runtime::Service>> make_service(const ServeOptions& options,
                                                       const device::HostTopology& topology, ServiceEvents told,
                                                       const OpenDevices& open) {
  auto made = open(options.device, topology, options.max_body);
  if (!made.ok()) return made.error().in("--device");
  std::vector<Computing> opened = std::move(made).value();
  runtime::ServiceOptions service = service_options(options, opened.front().kind);
  service.on_all_lost = std::move(told.all_lost);
  service.on_stuck = std::move(told.stuck);
  if (!options.record.empty()) {
    runtime::RecorderLimits limits;
    limits.sample = options.record_sample.has_value();
    limits.file = options.record_sample.value_or(limits.file);
    TESSERA_ASSIGN_OR_RETURN(service.recorder, runtime::Recorder::open(options.record, limits));
  }
  std::vector<runtime::DeviceUnit> units;
  units.reserve(opened.size());
  service.max_homes = opened.front().max_homes;
  for (Computing& one : opened) {
    service.max_homes = std::min(service.max_homes, one.max_homes);
    units.push_back({std::move(one.device), std::move(one.engine)});
  }
  return runtime::Service::create(std::move(service), std::move(units));
}

}  // namespace tessera::apps
