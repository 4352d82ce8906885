#include "sim/cluster.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

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
    tenant.rate = tenant.spec.rate;
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
    nodes_[i].residences.resize(tenants_.size());
    nodes_[i].waiting.resize(tenants_.size());
  }
  say_who_may_hold();
  TESSERA_RETURN_IF_ERROR(check_changes());
  up_.assign(options_.devices, true);
  for (const DeviceChange& change : options_.changes) {
    up_[change.device] = up_[change.device] && change.lost;
  }
  TESSERA_RETURN_IF_ERROR(place());
  for (std::uint32_t i = 0; i < options_.devices; ++i) {
    TESSERA_RETURN_IF_ERROR(add_device(i));
  }
  counted_from_ = TimePoint(options_.warm_up);
  ends_ = counted_from_ + options_.length;
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
    if (holds(node.holders[tenant], place)) {
      add_model(index, tenant);
    }
  }
  return ok_status();
}

void Cluster::add_model(std::uint32_t device, std::uint32_t tenant) {
  const InstanceId id{tenant + 1};
  if (devices_[device]->has_model(id)) {  // it was to leave, and comes back
    return;
  }
  const TenantModel& model = models_[tenant];
  devices_[device]->add_model(id, model.params, model.run_time,
                              options_.profiled ? sched::Profile(model.profile->points) : sched::Profile());
  devices_[device]->set_beside(id, profile_.beside(*model.profile));
}

Outcome Cluster::run(const std::function<void(double)>& progress) {
  for (std::uint32_t i = 0; i < tenants_.size(); ++i) {
    Tenant& tenant = tenants_[i];
    if (tenant.arrivals) {
      tenant.next = tenant.arrivals->next();
      loop_.at(TimePoint(tenant.next.at), *this, token(Moment::kAsk, i));
    }
    for (int n = 0; n < tenant.spec.spec.outstanding.value_or(0); ++n) {
      loop_.at(TimePoint{}, *this, token(Moment::kAsk, i));
    }
  }
  for (std::size_t i = 0; i < options_.changes.size(); ++i) {
    loop_.at(counted_from_ + options_.changes[i].after, *this, token(Moment::kChange, i));
  }
  if (evictable()) {
    loop_.at(TimePoint(options_.placing), *this, token(Moment::kPlace, 0));
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
  fail_waiting();
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

void Cluster::due(std::uint64_t of) {
  const auto place = static_cast<std::uint32_t>(of);
  switch (static_cast<Moment>(of >> 32U)) {
    case Moment::kAsk:
      return ask(place);
    case Moment::kChange:
      return change(options_.changes[place]);
    case Moment::kLoaded:
      return load(loadings_[place]);
    case Moment::kPlace:
      return place_anew();
  }
}

void Cluster::ask(std::uint32_t place) {
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
  loop_.at(TimePoint(tenant.next.at), *this, token(Moment::kAsk, place));
  issue(place, rows);
}

void Cluster::issue(std::uint32_t index, std::int32_t rows) {
  if (counts(loop_.time())) {
    tenants_[index].tally.offered();
  }
  tenants_[index].last_asked = loop_.time();
  ++tenants_[index].lately;
  std::uint32_t slot = 0;
  if (free_requests_.empty()) {
    slot = static_cast<std::uint32_t>(requests_.size());
    TESSERA_CHECK(slot < kPlaceMask);
    requests_.emplace_back();
  } else {
    slot = free_requests_.back();
    free_requests_.pop_back();
  }
  Request& request = requests_[slot];
  request.tenant = index;
  request.rows = rows;
  request.launched = false;
  request.waited = false;
  request.serial = ++serial_;
  request.arrival = loop_.time();
  if (!send(slot)) {
    fail(slot);
  }
}

// To a device that holds the tenant; false: there is none, and none to wait for.
bool Cluster::send(std::uint32_t slot) {
  const auto node = choose_node(requests_[slot].tenant);
  if (!node) {
    return wait_for_model(slot);
  }
  send(slot, *node);
  return true;
}

void Cluster::send(std::uint32_t slot, std::uint32_t node) {
  Request& request = requests_[slot];
  ++nodes_[node].open;
  request.node = node;
  request.device = choose_device(nodes_[node], request.tenant);
  sched::Arrival arrival;
  arrival.request = RequestId{(request.serial << kPlaceBits) | slot};
  arrival.instance = InstanceId{request.tenant + 1};
  arrival.rows = request.rows;
  arrival.arrival = request.arrival;
  devices_[request.device]->send(arrival);
}

std::optional<std::uint32_t> Cluster::choose_node(std::uint32_t index) {
  Tenant& tenant = tenants_[index];
  const auto serves = [&](std::uint32_t node) { return !nodes_[node].holders[index].empty(); };
  if (tenant.nodes.size() == 1) {
    return serves(tenant.nodes.front()) ? std::optional(tenant.nodes.front()) : std::nullopt;
  }
  // The fewest open requests; of equal ones the next in turn.
  const std::size_t begin = tenant.turn++ % tenant.nodes.size();
  std::optional<std::uint32_t> best;
  for (std::size_t i = 0; i < tenant.nodes.size(); ++i) {
    const std::uint32_t node = tenant.nodes[(begin + i) % tenant.nodes.size()];
    if (serves(node) && (!best || nodes_[node].open < nodes_[*best].open)) {
      best = node;
    }
  }
  return best;
}

Cluster::Holders::iterator Cluster::holder_at(Holders& holders, std::uint32_t place) {
  return std::lower_bound(holders.begin(), holders.end(), place,
                          [](const Holder& holder, std::uint32_t of) { return holder.place < of; });
}

bool Cluster::holds(const Holders& holders, std::uint32_t place) {
  return std::any_of(holders.begin(), holders.end(), [&](const Holder& holder) { return holder.place == place; });
}

std::uint32_t Cluster::choose_device(Node& node, std::uint32_t tenant) {
  Holders& holders = node.holders[tenant];
  std::size_t chosen = 0;
  if (holders.size() > 1) {
    candidates_.clear();
    for (const Holder& holder : holders) {
      const sched::Scheduler& scheduler = devices_[node.first_device + holder.place]->scheduler();
      const sched::DeviceLoad load = scheduler.load(loop_.time());
      candidates_.push_back({tenants_[tenant].spec.slo ? load.free_for_objectives : load.free_at,
                             scheduler.load(InstanceId{tenant + 1}), holder.routed});
    }
    chosen = router_.choose(candidates_, loop_.time(), serial_);
  }
  ++holders[chosen].routed;
  return node.first_device + holders[chosen].place;
}

std::uint32_t Cluster::slot_of(RequestId id) { return static_cast<std::uint32_t>(id.value & kPlaceMask); }

Cluster::Request Cluster::close(RequestId id) {
  const std::uint32_t slot = slot_of(id);
  TESSERA_CHECK(requests_[slot].serial == id.value >> kPlaceBits);
  --nodes_[requests_[slot].node].open;
  return close(slot);
}

// Of which no node knows any more.
Cluster::Request Cluster::close(std::uint32_t slot) {
  const Request request = requests_[slot];
  requests_[slot].serial = 0;
  free_requests_.push_back(slot);
  return request;
}

void Cluster::fail(std::uint32_t slot) {
  const Request request = close(slot);
  Tenant& tenant = tenants_[request.tenant];
  if (options_.answered) {
    options_.answered({request.tenant, request.arrival, std::nullopt, request.waited});
  }
  if (counts(request.arrival)) {
    tenant.tally.failed();
    count_miss(tenant);
  }
  ask_again(request.tenant, kAfterRejection);
}

void Cluster::acts(const sched::Action& action) {
  if (const auto* launch = std::get_if<sched::StartLaunch>(&action); launch != nullptr && !options_.changes.empty()) {
    for (const RequestId id : launch->requests) {
      requests_[slot_of(id)].launched = true;
    }
  }
  const auto* reject = std::get_if<sched::Reject>(&action);
  if (reject == nullptr) {
    return;
  }
  const Request request = close(reject->request);
  Tenant& tenant = tenants_[request.tenant];
  if (options_.answered) {
    options_.answered({request.tenant, request.arrival, std::nullopt, request.waited});
  }
  if (counts(request.arrival)) {
    tenant.tally.rejected();
    count_miss(tenant);
  }
  ask_again(request.tenant, kAfterRejection);
}

void Cluster::ran(const sched::StartLaunch& launch, TimePoint begin, TimePoint end) {
  if (options_.ran && counts(loop_.time())) {
    options_.ran({launch.instance.value - 1, requests_[slot_of(launch.requests.front())].device, launch.rows,
                  launch.bucket, launch.slice, begin, end});
  }
}

void Cluster::ended(const sched::StartLaunch& launch) {
  for (const RequestId id : launch.requests) {
    const Request request = close(id);
    Tenant& tenant = tenants_[request.tenant];
    if (options_.answered) {
      options_.answered({request.tenant, request.arrival, loop_.time(), request.waited});
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
    loop_.at(loop_.time() + pause, *this, token(Moment::kAsk, tenant));
  }
}

}  // namespace tessera::sim
