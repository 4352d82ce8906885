#include "sim/cluster.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"
#include "sched/placer.h"

namespace tessera::sim {
namespace {

// A request's id: its place in the table, and a serial number, so that no two are the same.
constexpr int kPlaceBits = 28;
constexpr std::uint64_t kPlaceMask = (std::uint64_t{1} << kPlaceBits) - 1;

// How long a client that asks one thing at a time waits after it was turned away.
constexpr Duration kAfterRejection = std::chrono::milliseconds(1);
// What waits at the end gets so long.
constexpr Duration kToFinish = std::chrono::seconds(60);
constexpr int kProgressSteps = 1000;

}  // namespace

Result<std::unique_ptr<Cluster>> Cluster::make(const DeviceProfile& profile, std::vector<loadgen::Tenant> tenants,
                                               const ClusterOptions& options) {
  std::unique_ptr<Cluster> cluster(new Cluster(profile, options));
  TESSERA_RETURN_IF_ERROR(cluster->build(std::move(tenants)));
  return cluster;
}

Status Cluster::build(std::vector<loadgen::Tenant> tenants) {
  TESSERA_ASSIGN_OR_RETURN(models_, tenant_models(profile_, tenants));
  const std::size_t nodes = (options_.devices + options_.devices_per_node - 1) / options_.devices_per_node;
  const auto places = spread(models_, nodes, options_.devices_per_node);
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    Tenant tenant;
    tenant.spec = std::move(tenants[i]);
    tenant.nodes = places[i];
    if (!tenant.spec.spec.outstanding) {
      tenant.arrivals =
          loadgen::make_arrivals(tenant.spec.spec.process, tenant.spec.rate, loadgen::seed_of(options_.seed, i));
    }
    tenants_.push_back(std::move(tenant));
  }
  nodes_.resize(nodes);
  for (std::size_t i = 0; i < nodes; ++i) {
    nodes_[i].first_device = static_cast<std::uint32_t>(i * options_.devices_per_node);
    nodes_[i].holders.resize(tenants_.size());
    nodes_[i].routed.resize(tenants_.size());
  }
  TESSERA_RETURN_IF_ERROR(place());
  for (std::uint32_t i = 0; i < options_.devices; ++i) {
    TESSERA_RETURN_IF_ERROR(add_device(i));
  }
  counted_from_ = TimePoint(options_.warm_up);
  ends_ = counted_from_ + options_.length;
  return ok_status();
}

Status Cluster::place() {
  std::vector<std::vector<std::uint32_t>> held(nodes_.size());  // tenants
  for (std::uint32_t tenant = 0; tenant < tenants_.size(); ++tenant) {
    for (const std::uint32_t node : tenants_[tenant].nodes) {
      held[node].push_back(tenant);
    }
  }
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    Node& node = nodes_[n];
    const std::size_t count = std::min(options_.devices_per_node, options_.devices - node.first_device);
    sched::PlacerDevice device;
    if (profile_.memory.value > 0) {
      device.memory = profile_.memory;
    }
    std::vector<sched::PlacerModel> wanted;
    for (const std::uint32_t tenant : held[n]) {
      sched::PlacerModel model;
      model.name = tenants_[tenant].spec.spec.name;
      model.bytes = models_[tenant].profile->memory;
      model.rate = tenants_[tenant].spec.rate;
      wanted.push_back(std::move(model));
    }
    const auto placement = sched::Placer().decide(std::vector<sched::PlacerDevice>(count, device), wanted);
    if (!placement.refused.empty()) {
      return Error(ErrorCode::kResourceExhausted, "tenant '" + wanted[placement.refused.front()].name +
                                                      "' finds no memory on " + profile_.shape.name +
                                                      "; take more devices or fewer tenants");
    }
    for (const sched::PlacerAction& action : placement.actions) {
      const std::uint32_t tenant = held[n][action.model];
      node.holders[tenant].push_back(static_cast<std::uint32_t>(action.device));
    }
    for (const std::uint32_t tenant : held[n]) {
      std::sort(node.holders[tenant].begin(), node.holders[tenant].end());
      node.routed[tenant].assign(node.holders[tenant].size(), 0);
    }
  }
  return ok_status();
}

Status Cluster::add_device(std::uint32_t index) {
  TESSERA_ASSIGN_OR_RETURN(auto policy, sched::make_policy(options_.policy));
  sched::SchedulerLimits limits;
  limits.committed_per_atom = profile_.shape.committed_per_atom;
  devices_.push_back(std::make_unique<Device>(loop_, profile_.shape, std::move(policy), limits, profile_.traits,
                                              loadgen::seed_of(~options_.seed, index), static_cast<Observer&>(*this)));
  const Node& node = nodes_[index / options_.devices_per_node];
  const auto place = static_cast<std::uint32_t>(index % options_.devices_per_node);
  for (std::uint32_t tenant = 0; tenant < tenants_.size(); ++tenant) {
    const auto& holders = node.holders[tenant];
    if (std::find(holders.begin(), holders.end(), place) != holders.end()) {
      const TenantModel& model = models_[tenant];
      devices_.back()->add_model(InstanceId{tenant + 1}, model.params, model.run_time,
                                 options_.profiled ? sched::Profile(model.profile->points) : sched::Profile());
      devices_.back()->set_neighbour(InstanceId{tenant + 1}, profile_.neighbour(*model.profile));
    }
  }
  return ok_status();
}

Outcome Cluster::run(const std::function<void(double)>& progress) {
  for (std::uint32_t i = 0; i < tenants_.size(); ++i) {
    Tenant& tenant = tenants_[i];
    if (tenant.arrivals) {
      tenant.next = tenant.arrivals->next();
      loop_.at(TimePoint(tenant.next.at), *this, i);
    }
    for (int n = 0; n < tenant.spec.spec.outstanding.value_or(0); ++n) {
      loop_.at(TimePoint{}, *this, i);
    }
  }
  const Duration step = std::max(Duration(1), (ends_ - TimePoint{}) / kProgressSteps);
  for (TimePoint until{}; until < ends_ && !gave_up_; until = std::min(until + step, ends_)) {
    while (!gave_up_ && loop_.step(until)) {
    }
    if (progress) {
      progress(static_cast<double>((until - TimePoint{}).count()) / static_cast<double>((ends_ - TimePoint{}).count()));
    }
  }
  while (!gave_up_ && loop_.step(ends_ + kToFinish)) {
  }
  Outcome outcome;
  outcome.seconds = std::chrono::duration<double>(options_.length).count();
  outcome.requests = serial_;
  outcome.gave_up = gave_up_;
  for (const Tenant& tenant : tenants_) {
    outcome.tenants.push_back({tenant.spec.slo, tenant.tally});
  }
  double busy = 0;
  for (const auto& device : devices_) {
    busy += device->busy_atom_seconds();
    outcome.events += device->events();
  }
  const double whole = std::chrono::duration<double>(loop_.time() - TimePoint{}).count() * profile_.shape.atoms() *
                       static_cast<double>(devices_.size());
  outcome.busy = whole > 0 ? busy / whole : 0;
  return outcome;
}

void Cluster::due(std::uint64_t index) {
  const auto place = static_cast<std::uint32_t>(index);
  Tenant& tenant = tenants_[place];
  if (loop_.time() >= ends_) {
    return;
  }
  if (!tenant.arrivals) {
    issue(place, tenant.spec.spec.rows);
    return;
  }
  const std::int32_t rows = std::min(std::max(tenant.next.rows, tenant.spec.spec.rows), tenant.spec.spec.max_batch);
  tenant.next = tenant.arrivals->next();
  loop_.at(TimePoint(tenant.next.at), *this, place);
  issue(place, rows);
}

void Cluster::issue(std::uint32_t index, std::int32_t rows) {
  Tenant& tenant = tenants_[index];
  if (counts(loop_.time())) {
    tenant.tally.offered();
  }
  const std::uint32_t place = choose_node(tenant);
  Node& node = nodes_[place];
  ++node.open;
  std::uint32_t slot = 0;
  if (free_requests_.empty()) {
    slot = static_cast<std::uint32_t>(requests_.size());
    TESSERA_CHECK(slot < kPlaceMask);
    requests_.emplace_back();
  } else {
    slot = free_requests_.back();
    free_requests_.pop_back();
  }
  requests_[slot] = {index, place, ++serial_, loop_.time()};
  sched::Arrival arrival;
  arrival.request = RequestId{(serial_ << kPlaceBits) | slot};
  arrival.instance = InstanceId{index + 1};
  arrival.rows = rows;
  arrival.arrival = loop_.time();
  devices_[choose_device(node, index)]->send(arrival);
}

std::uint32_t Cluster::choose_node(Tenant& tenant) {
  if (tenant.nodes.size() == 1) {
    return tenant.nodes.front();
  }
  // The fewest open requests; of equal ones the next in turn.
  const std::size_t begin = tenant.turn++ % tenant.nodes.size();
  std::uint32_t best = tenant.nodes[begin];
  for (std::size_t i = 1; i < tenant.nodes.size(); ++i) {
    const std::uint32_t node = tenant.nodes[(begin + i) % tenant.nodes.size()];
    if (nodes_[node].open < nodes_[best].open) {
      best = node;
    }
  }
  return best;
}

std::uint32_t Cluster::choose_device(Node& node, std::uint32_t tenant) {
  const auto& holders = node.holders[tenant];
  auto& routed = node.routed[tenant];
  std::size_t chosen = 0;
  if (holders.size() > 1) {
    candidates_.clear();
    for (std::size_t i = 0; i < holders.size(); ++i) {
      const sched::Scheduler& scheduler = devices_[node.first_device + holders[i]]->scheduler();
      const sched::DeviceLoad load = scheduler.load(loop_.time());
      candidates_.push_back({tenants_[tenant].spec.slo ? load.free_for_objectives : load.free_at,
                             scheduler.load(InstanceId{tenant + 1}), routed[i]});
    }
    chosen = router_.choose(candidates_, loop_.time(), serial_);
  }
  ++routed[chosen];
  return node.first_device + holders[chosen];
}

Cluster::Request Cluster::close(RequestId id) {
  const auto slot = static_cast<std::uint32_t>(id.value & kPlaceMask);
  const Request request = requests_[slot];
  TESSERA_CHECK(request.serial == id.value >> kPlaceBits);
  requests_[slot].serial = 0;
  free_requests_.push_back(slot);
  --nodes_[request.node].open;
  return request;
}

void Cluster::acts(const sched::Action& action) {
  const auto* reject = std::get_if<sched::Reject>(&action);
  if (reject == nullptr) {
    return;
  }
  const Request request = close(reject->request);
  Tenant& tenant = tenants_[request.tenant];
  if (options_.answered) {
    options_.answered({request.tenant, request.arrival, std::nullopt});
  }
  if (counts(request.arrival)) {
    tenant.tally.rejected();
    count_miss(tenant);
  }
  ask_again(request.tenant, kAfterRejection);
}

void Cluster::ran(const sched::StartLaunch& launch, Duration took) {
  if (options_.ran && counts(loop_.time())) {
    options_.ran(launch.instance.value - 1, std::chrono::duration<double>(took).count() * launch.slice.count);
  }
}

void Cluster::ended(const sched::StartLaunch& launch) {
  for (const RequestId id : launch.requests) {
    const Request request = close(id);
    Tenant& tenant = tenants_[request.tenant];
    if (options_.answered) {
      options_.answered({request.tenant, request.arrival, loop_.time()});
    }
    if (counts(request.arrival)) {
      const Duration latency = loop_.time() - request.arrival;
      tenant.tally.answered(latency, tenant.spec.slo);
      if (tenant.spec.slo && latency > *tenant.spec.slo) {
        count_miss(tenant);
      }
    }
    ask_again(request.tenant, Duration{0});
  }
}

void Cluster::count_miss(Tenant& tenant) {
  ++tenant.misses;
  const auto place = static_cast<std::size_t>(&tenant - tenants_.data());
  gave_up_ = gave_up_ || (place < options_.most_misses.size() && tenant.misses > options_.most_misses[place]);
}

void Cluster::ask_again(std::uint32_t tenant, Duration pause) {
  if (!tenants_[tenant].arrivals) {
    loop_.at(loop_.time() + pause, *this, tenant);
  }
}

}  // namespace tessera::sim
