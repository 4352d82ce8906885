#include "sim/tenants.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

namespace tessera::sim {
namespace {

constexpr std::size_t kTenantsOnEveryNode = 64;
constexpr double kMostOfNode = 0.1;
constexpr std::size_t kLeastReplicas = 2;  // on nodes
constexpr double kMostOfDevice = 0.5;
constexpr double kOfNothing = 1e-6;  // so that those who ask for nothing do not all go to one device

std::vector<std::int32_t> buckets_to(std::int32_t most) {
  std::vector<std::int32_t> buckets;
  for (std::int32_t bucket = 1; bucket < most; bucket *= 2) {
    buckets.push_back(bucket);
  }
  buckets.push_back(most);
  return buckets;
}

std::shared_ptr<const sched::ModelParams> params_of(const loadgen::Tenant& tenant) {
  auto params = std::make_shared<sched::ModelParams>();
  params->name = tenant.spec.name;
  params->max_batch_size = tenant.spec.max_batch;
  params->buckets = buckets_to(tenant.spec.max_batch);
  params->lanes = static_cast<std::uint16_t>(tenant.spec.lanes);
  params->slo = tenant.slo;
  params->slo_policy = tenant.spec.best_effort ? sched::SloPolicy::kBestEffort : sched::SloPolicy::kReject;
  params->weight = tenant.spec.weight;
  params->reserved_share = tenant.spec.reserved_share;
  params->reserved_lend = tenant.spec.reserved_lend;
  params->max_share = tenant.spec.max_share;
  params->dynamic_batching = tenant.spec.max_batch > 1;
  return params;
}

// Asked at every launch, so from a table of all slices' sizes.
Device::RunTime table_of(const DeviceShape& shape, const ModelProfile& model,
                         const std::vector<std::int32_t>& buckets) {
  auto table = std::make_shared<std::map<std::pair<std::int32_t, std::int32_t>, Duration>>();
  const sched::Profile profile(model.points);
  for (const std::int32_t bucket : buckets) {
    for (const Slice& slice : shape.ladder) {
      const int processors = shape.processors_in(slice);
      (*table)[{bucket, processors}] = profile.latency(bucket, processors).value_or(Duration{0});
    }
  }
  return [table](std::int32_t bucket, std::int32_t processors) { return table->at({bucket, processors}); };
}

}  // namespace

Result<std::vector<TenantModel>> tenant_models(const DeviceProfile& device,
                                               const std::vector<loadgen::Tenant>& tenants) {
  std::vector<TenantModel> models;
  std::map<std::pair<std::string, int>, Device::RunTime> tables;  // tenants of one model share theirs
  for (const loadgen::Tenant& tenant : tenants) {
    TenantModel one;
    TESSERA_ASSIGN_OR_RETURN(one.profile, device.model(tenant.spec.model));
    one.params = params_of(tenant);
    Device::RunTime& table = tables[{tenant.spec.model, tenant.spec.max_batch}];
    if (!table) {
      table = table_of(device.shape, *one.profile, one.params->buckets);
    }
    one.run_time = table;
    one.work = tenant.rate * std::chrono::duration<double>(device.whole(*one.profile, 8)).count() / 8;
    models.push_back(std::move(one));
  }
  return models;
}

std::vector<std::vector<std::uint32_t>> spread(const std::vector<TenantModel>& models, std::size_t nodes,
                                               std::size_t devices_per_node) {
  std::vector<std::vector<std::uint32_t>> places(models.size());
  std::vector<std::uint32_t> order(nodes);
  std::iota(order.begin(), order.end(), 0U);
  if (models.size() <= kTenantsOnEveryNode) {
    std::fill(places.begin(), places.end(), order);
    return places;
  }
  std::vector<std::size_t> heaviest(models.size());
  std::iota(heaviest.begin(), heaviest.end(), 0U);
  std::stable_sort(heaviest.begin(), heaviest.end(),
                   [&](std::size_t a, std::size_t b) { return models[a].work > models[b].work; });
  std::vector<double> load(nodes, 0);
  for (const std::size_t model : heaviest) {
    const double share = models[model].work / static_cast<double>(devices_per_node);
    const auto wanted = static_cast<std::size_t>(std::ceil(share / kMostOfNode));
    const std::size_t replicas = std::clamp(wanted, std::min(kLeastReplicas, nodes), nodes);
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return load[a] < load[b]; });
    places[model].assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(replicas));
    for (const std::uint32_t node : places[model]) {
      load[node] += share / static_cast<double>(replicas);
    }
  }
  return places;
}

std::vector<std::vector<bool>> devices_for(const std::vector<double>& work, std::size_t tenants, std::size_t devices) {
  if (tenants <= kTenantsOnEveryNode) {
    return std::vector<std::vector<bool>>(work.size());
  }
  std::vector<std::vector<bool>> allowed(work.size(), std::vector<bool>(devices, false));
  std::vector<std::size_t> heaviest(work.size());
  std::iota(heaviest.begin(), heaviest.end(), 0U);
  std::stable_sort(heaviest.begin(), heaviest.end(), [&](std::size_t a, std::size_t b) { return work[a] > work[b]; });
  std::vector<double> load(devices, 0);
  std::vector<std::size_t> order(devices);
  std::iota(order.begin(), order.end(), 0U);
  for (const std::size_t tenant : heaviest) {
    const auto wanted = static_cast<std::size_t>(std::ceil(work[tenant] / kMostOfDevice));
    const std::size_t replicas = std::clamp(wanted, std::size_t{1}, devices);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return load[a] < load[b]; });
    for (std::size_t i = 0; i < replicas; ++i) {
      allowed[tenant][order[i]] = true;
      load[order[i]] += (work[tenant] + kOfNothing) / static_cast<double>(replicas);
    }
  }
  return allowed;
}

}  // namespace tessera::sim
