// GSLICE: every model has a slice of its own whose size it learns from what it sees, and so is its batch.
//
// A. Dhakal, S. G. Kulkarni, K. K. Ramakrishnan: GSLICE: Controlled Spatial Sharing of GPUs for a Scalable Inference
// Platform, SoCC 2020. The rule of a window is share_learner.h. Where the shares ask for more than the device, they are
// max-min fair (share_plan.h). A changed share is prepared in a stand-by instance while the old one goes on; the switch
// between them is what the paper gives as less than 100 us. Where there are more models than atoms, some take turns in
// one slice. A batch leaves when its slice is free and takes what waits, up to the learned size, as long as it ends
// before its first deadline.
//
// Options: window_ms, how long a window is; stand_by_ms, how long a stand-by takes at least until it is ready.
#include <algorithm>
#include <charconv>
#include <numeric>
#include <tuple>

#include "sched/batching.h"
#include "sched/policy/registry.h"
#include "sched/share_learner.h"
#include "sched/share_plan.h"

namespace tessera::sched {
namespace {

// Not from the paper, whose stand-by loads a model in a process of its own, in seconds: here it is homed plans.
constexpr Duration kWindow = std::chrono::milliseconds(500);
constexpr Duration kStandBy = std::chrono::milliseconds(100);
constexpr Duration kHomesPatience = std::chrono::seconds(2);  // a slice that is not homed by then is switched to anyhow
constexpr Duration kSwitch = std::chrono::microseconds(100);  // the paper's bound on downtime
// What the old share left waiting is not held against the new one.
constexpr Duration kSettle = std::chrono::milliseconds(100);
// Models that share slices are dealt out anew when the fullest is so much too full.
constexpr double kUneven = 1.2;

// A launch of which the end has not been seen.
struct Flight {
  InstanceId id;
  std::size_t lane = 0;
  TimePoint at{};
  std::vector<std::pair<TimePoint, std::int32_t>> requests;  // arrival and rows
};

// Owned by the scheduler.
class Gslice final : public Policy {
 public:
  Gslice(Duration window, Duration stand_by) : window_(window), stand_by_(stand_by) {}

  std::string_view name() const override { return "gslice"; }
  void decide(const View& view, TimePoint now, Decisions& out) override;

 private:
  struct Tenant {
    InstanceId id;
    const Instance* instance = nullptr;
    ShareLearner learner;
    std::size_t slice = 0;
    std::size_t stand_by = 0;  // the same unless a switch is prepared
    TimePoint opens = TimePoint::min();
    double busy = 0;  // part of the last window in which it ran
    Duration ran{0};
  };

  void follow_instances(const View& view, TimePoint now, Decisions& out);
  Tenant& tenant_of(const Instance& instance) { return tenants_[by_index_[instance.index]]; }
  void see_ends(TimePoint now);
  void close_windows(const View& view, TimePoint now, Decisions& out);
  void open_windows(TimePoint now);
  void plan(const View& view, Decisions& out);
  void deal_out(std::size_t seats);
  double fullest(const std::vector<std::size_t>& seat_of, std::size_t seats);
  bool stand_bys_are_homed(const View& view) const;
  void change_over(TimePoint now);
  void launch(const View& view, TimePoint now, Decisions& out);
  std::optional<BatchDecision> batch_of(const View& view, const ShapeQueue& queue, std::size_t slice, TimePoint now,
                                        Decisions& out);
  void note(const ShapeQueue& queue, const BatchDecision& decision, TimePoint now);

  Duration window_;
  Duration stand_by_;
  std::optional<LadderSizes> sizes_;
  std::uint64_t instances_version_ = 0;
  std::vector<Tenant> tenants_;        // by id
  std::vector<std::size_t> by_index_;  // place in tenants_ by Instance::index
  std::vector<std::size_t> seat_of_;   // by tenant
  std::vector<Flight> flights_;
  std::vector<Flight> spare_;
  TimePoint window_opened_{};
  TimePoint ready_at_ = kNever;    // of the stand-bys
  TimePoint settled_at_ = kNever;  // when a window may open after a switch
  std::vector<std::pair<const ShapeQueue*, std::size_t>> order_;
};

void Gslice::decide(const View& view, TimePoint now, Decisions& out) {
  follow_instances(view, now, out);
  see_ends(now);
  if (now >= settled_at_) {
    settled_at_ = kNever;
    open_windows(now);
  }
  if (ready_at_ == kNever && settled_at_ == kNever && !tenants_.empty() && now - window_opened_ >= window_) {
    close_windows(view, now, out);
  }
  if (now >= ready_at_ && (stand_bys_are_homed(view) || now - ready_at_ >= kHomesPatience)) {
    change_over(now);
  }
  launch(view, now, out);
  if (!view.active.empty() && ready_at_ > now) {
    out.wake_up = std::min(out.wake_up, ready_at_);
  }
}

void Gslice::follow_instances(const View& view, TimePoint now, Decisions& out) {
  if (instances_version_ == view.instances_version) {
    return;
  }
  instances_version_ = view.instances_version;
  const bool the_same = tenants_.size() == view.instances.size() &&
                        std::all_of(view.instances.begin(), view.instances.end(),
                                    [this](const auto& instance) { return tenant_of(*instance).id == instance->id; });
  if (the_same) {
    return;  // only predictions were read anew
  }
  if (!sizes_) {
    sizes_.emplace(view.device);
  }
  const std::vector<Tenant> before = std::move(tenants_);
  tenants_.clear();
  const double equal = static_cast<double>(view.device.shape().atoms()) / static_cast<double>(view.instances.size());
  for (const auto& instance : view.instances) {
    const auto known =
        std::find_if(before.begin(), before.end(), [&](const Tenant& tenant) { return tenant.id == instance->id; });
    if (known != before.end()) {
      tenants_.push_back(*known);
      continue;
    }
    Tenant& tenant = tenants_.emplace_back();
    tenant.id = instance->id;
    tenant.instance = instance.get();
    tenant.slice = tenant.stand_by = view.device.slices().size();
    tenant.learner.start(*instance, *sizes_, std::max(1.0, equal));
  }
  std::sort(tenants_.begin(), tenants_.end(), [](const Tenant& a, const Tenant& b) { return a.id < b.id; });
  by_index_.resize(tenants_.size());
  for (std::size_t i = 0; i < tenants_.size(); ++i) {
    by_index_[tenants_[i].instance->index] = i;
  }
  if (!tenants_.empty()) {
    seat_of_.clear();
    plan(view, out);
    change_over(now);
  }
}

// Lanes are this policy's alone to use, so one that is free again means that its launch has ended.
void Gslice::see_ends(TimePoint now) {
  for (std::size_t i = 0; i < flights_.size();) {
    Flight& flight = flights_[i];
    const auto tenant = std::lower_bound(tenants_.begin(), tenants_.end(), flight.id,
                                         [](const Tenant& a, InstanceId id) { return a.id < id; });
    const bool there = tenant != tenants_.end() && tenant->id == flight.id;
    if (there && tenant->instance->lanes[flight.lane].busy) {
      ++i;
      continue;
    }
    if (there) {
      for (const auto& [arrival, rows] : flight.requests) {
        tenant->learner.answered(*tenant->instance, arrival, now, rows);
      }
      tenant->ran += now - std::max(flight.at, window_opened_);
    }
    spare_.push_back(std::move(flight));
    if (i + 1 < flights_.size()) {
      flight = std::move(flights_.back());
    }
    flights_.pop_back();
  }
}

void Gslice::close_windows(const View& view, TimePoint now, Decisions& out) {
  for (Tenant& tenant : tenants_) {
    tenant.busy = static_cast<double>(tenant.ran.count()) / static_cast<double>((now - window_opened_).count());
    tenant.learner.close_window(*tenant.instance, *sizes_, view.device.slice(tenant.slice).slice.count, now);
  }
  plan(view, out);
  const bool moves = std::any_of(tenants_.begin(), tenants_.end(),
                                 [](const Tenant& tenant) { return tenant.slice != tenant.stand_by; });
  ready_at_ = moves ? now + stand_by_ : kNever;
  open_windows(now);
}

void Gslice::open_windows(TimePoint now) {
  window_opened_ = now;
  for (Tenant& tenant : tenants_) {
    tenant.ran = Duration{0};
    tenant.learner.open_window(*tenant.instance, now);
  }
}

// Sets what every model's stand-by is to be.
void Gslice::plan(const View& view, Decisions& out) {
  const std::size_t seats = std::min<std::size_t>(tenants_.size(), view.device.shape().atoms());
  deal_out(seats);
  std::vector<ShareWish> wishes(seats);
  for (std::size_t i = 0; i < tenants_.size(); ++i) {
    ShareWish& wish = wishes[seat_of_[i]];
    if (const auto& only = tenants_[i].instance->only_slice) {
      wish.atoms = std::max<double>(wish.atoms, view.device.slice(*only).slice.count);
      wish.now = *only;
      continue;
    }
    wish.atoms = std::max(wish.atoms, tenants_[i].learner.atoms());
    if (tenants_[i].slice < view.device.slices().size()) {
      wish.now = tenants_[i].slice;
    }
  }
  const std::vector<std::size_t> slices = plan_shares(view.device, *sizes_, wishes);
  for (std::size_t i = 0; i < tenants_.size(); ++i) {
    tenants_[i].stand_by = tenants_[i].instance->only_slice.value_or(slices[seat_of_[i]]);
    if (tenants_[i].stand_by != tenants_[i].slice) {
      out.wanted_homes.push_back({tenants_[i].id, view.device.slice(tenants_[i].stand_by).slice});
    }
  }
}

// Who sits where: everybody alone, or, with more models than seats, the busiest first, each in the emptiest seat.
void Gslice::deal_out(std::size_t seats) {
  std::vector<std::size_t> order(tenants_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [this](std::size_t a, std::size_t b) { return tenants_[a].busy > tenants_[b].busy; });
  std::vector<std::size_t> dealt(tenants_.size());
  std::vector<std::pair<double, std::size_t>> seat(seats);  // busy, models
  for (const std::size_t i : order) {
    const auto emptiest = static_cast<std::size_t>(std::min_element(seat.begin(), seat.end()) - seat.begin());
    dealt[i] = tenants_.size() == seats ? i : emptiest;
    seat[dealt[i]].first += tenants_[i].busy;
    ++seat[dealt[i]].second;
  }
  if (seat_of_.size() == tenants_.size() && fullest(seat_of_, seats) <= kUneven * fullest(dealt, seats)) {
    return;
  }
  seat_of_ = std::move(dealt);
}

double Gslice::fullest(const std::vector<std::size_t>& seat_of, std::size_t seats) {
  std::vector<double> busy(seats, 0.0);
  for (std::size_t i = 0; i < tenants_.size(); ++i) {
    busy[seat_of[i]] += tenants_[i].busy;
  }
  return *std::max_element(busy.begin(), busy.end());
}

bool Gslice::stand_bys_are_homed(const View& view) const {
  return std::all_of(tenants_.begin(), tenants_.end(), [&](const Tenant& tenant) {
    return tenant.slice == tenant.stand_by || usable_slice(view, *tenant.instance, tenant.stand_by) == tenant.stand_by;
  });
}

void Gslice::change_over(TimePoint now) {
  for (Tenant& tenant : tenants_) {
    if (tenant.slice != tenant.stand_by) {
      tenant.slice = tenant.stand_by;
      tenant.opens = tenant.instance->last_launch == TimePoint::min() ? now : now + kSwitch;
    }
  }
  ready_at_ = kNever;
  settled_at_ = now + kSettle;
}

void Gslice::launch(const View& view, TimePoint now, Decisions& out) {
  order_.clear();
  for (const ShapeQueue* queue : view.active) {
    const Tenant& tenant = tenant_of(queue->instance());
    const std::size_t slice = usable_slice(view, queue->instance(), tenant.slice).value_or(tenant.slice);
    if (turned_away_in(view, *queue, slice, now, out)) {
      continue;
    }
    if (tenant.instance->homes.lazy()) {  // what was asked for may have been refused, or dropped while it was unused
      out.wanted_homes.push_back({tenant.id, view.device.slice(tenant.slice).slice});
    }
    if (tenant.opens > now || !view.launchable(slice, now)) {
      out.wake_up = std::min(out.wake_up, tenant.opens > now ? tenant.opens : view.run_ahead_at(slice, now));
      continue;
    }
    if (leads_its_instance(*queue)) {
      order_.emplace_back(queue, slice);
    }
  }
  std::sort(order_.begin(), order_.end(), [](const auto& a, const auto& b) {
    const Request& first = a.first->head();
    const Request& second = b.first->head();
    return std::tuple(first.deadline, first.sequence) < std::tuple(second.deadline, second.sequence);
  });
  for (const auto& [queue, slice] : order_) {
    if (auto decision = batch_of(view, *queue, slice, now, out)) {
      note(*queue, *decision, now);
      out.launches.push_back(*decision);
      return;
    }
  }
}

std::optional<BatchDecision> Gslice::batch_of(const View& view, const ShapeQueue& queue, std::size_t slice,
                                              TimePoint now, Decisions& out) {
  const Instance& instance = queue.instance();
  if (!instance.any_free_lane()) {
    return std::nullopt;
  }
  const std::int32_t most = std::min(instance.max_rows(), tenant_of(instance).learner.batch());
  const Taken batch = take(queue, most);
  const Ripe ripe = size_or_delay(queue, now);
  if (ripe.batch.requests == 0 && batch.rows < most) {
    const TimePoint latest =
        queue.head().deadline == kNever || !instance.table.known()
            ? kNever
            : queue.head().deadline - instance.table.margin() -
                  view.predicted(queue, instance.bucket_for(batch.rows), view.device.slice(slice).group);
    if (latest > now) {
      out.wake_up = std::min({out.wake_up, ripe.wake_up, latest});
      return std::nullopt;
    }
  }
  const Taken in_time =
      largest_in_time(view, queue, batch, view.device.slice(slice).group, view.device.start_on(slice, now));
  return as_decision(view, queue, in_time, slice);
}

void Gslice::note(const ShapeQueue& queue, const BatchDecision& decision, TimePoint now) {
  Flight flight;
  if (!spare_.empty()) {
    flight = std::move(spare_.back());
    spare_.pop_back();
  }
  flight.id = decision.instance;
  flight.lane = decision.lane.value;
  flight.at = now;
  flight.requests.clear();
  auto entry = queue.entries().begin();
  for (std::int32_t i = 0; i < decision.requests; ++i, ++entry) {
    flight.requests.emplace_back(entry->request->arrival.arrival, entry->request->arrival.rows);
  }
  flights_.push_back(std::move(flight));
}

}  // namespace

Result<std::unique_ptr<Policy>> make_gslice(const PolicyOptions& options) {
  Duration window = kWindow;
  Duration stand_by = kStandBy;
  for (const auto& [key, value] : options) {
    constexpr std::uint32_t kMostMs = 3'600'000;
    std::uint32_t ms = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), ms);
    const bool is_number = error == std::errc() && end == value.data() + value.size() && ms <= kMostMs;
    if (is_number && key == "window_ms" && ms > 0) {
      window = std::chrono::milliseconds(ms);
    } else if (is_number && key == "stand_by_ms") {
      stand_by = std::chrono::milliseconds(ms);
    } else {
      std::string option = key;
      option.append("=").append(value);
      return invalid_argument("policy gslice: option '" + option +
                              "' is not window_ms=N or stand_by_ms=N, in milliseconds up to an hour");
    }
  }
  return std::unique_ptr<Policy>(std::make_unique<Gslice>(window, stand_by));
}

}  // namespace tessera::sched
