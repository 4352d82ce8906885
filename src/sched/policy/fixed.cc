// Configured shares: every model has one slice of its own and stays in it, whatever the others do.
//
// "share.MODEL=0.5" gives a model half of the atoms; models without a share divide what is left equally. A share is
// rounded down to a size on the ladder, at least one atom. Where there are more models than atoms some share a slice
// and wait for each other there. A model that can run in one slice only is there, whatever its share.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <tuple>

#include "sched/batching.h"
#include "sched/policy/registry.h"

namespace tessera::sched {
namespace {

// Owned by the scheduler.
class Fixed final : public Policy {
 public:
  explicit Fixed(std::map<std::string, double> shares) : shares_(std::move(shares)) {}

  std::string_view name() const override { return "fixed"; }
  std::vector<std::string> named_models() const override {
    std::vector<std::string> names;
    for (const auto& [name, share] : shares_) {
      names.push_back(name);
    }
    return names;
  }
  void decide(const View& view, TimePoint now, Decisions& out) override;

 private:
  void assign(const View& view, Decisions& out);
  double share_of(const View& view, const Instance& instance) const;
  std::size_t emptiest(const View& view, std::uint16_t atoms) const;
  std::optional<BatchDecision> batch_of(const View& view, const ShapeQueue& queue, TimePoint now, Decisions& out) const;

  std::map<std::string, double> shares_;
  std::map<InstanceId, std::size_t> slices_;  // of the ladder
  std::vector<double> load_;                  // by atom: shares placed there
  std::vector<InstanceId> assigned_;
  std::vector<const ShapeQueue*> order_;
};

void Fixed::decide(const View& view, TimePoint now, Decisions& out) {
  assign(view, out);
  order_.assign(view.active.begin(), view.active.end());
  std::sort(order_.begin(), order_.end(), [](const ShapeQueue* a, const ShapeQueue* b) {
    const auto order = [](const ShapeQueue& q) { return std::tuple(q.head().deadline, q.head().sequence); };
    return order(*a) < order(*b);
  });
  for (const ShapeQueue* queue : order_) {
    const Instance& instance = queue->instance();
    const std::size_t slice = usable_slice(view, instance, slices_.at(instance.id)).value_or(slices_.at(instance.id));
    if (turned_away_in(view, *queue, slice, now, out)) {
      continue;
    }
    if (!leads_its_instance(*queue) || !view.launchable(slice, now)) {
      out.wake_up = std::min(out.wake_up, view.run_ahead_at(slice, now));
      continue;
    }
    if (auto decision = batch_of(view, *queue, now, out)) {
      out.launches.push_back(*decision);
      return;
    }
  }
}

std::optional<BatchDecision> Fixed::batch_of(const View& view, const ShapeQueue& queue, TimePoint now,
                                             Decisions& out) const {
  const Instance& instance = queue.instance();
  if (instance.homes.lazy()) {  // what was asked for at first may have been refused, or dropped while it was unused
    out.wanted_homes.push_back({instance.id, view.device.slice(slices_.at(instance.id)).slice});
  }
  const auto slice = usable_slice(view, instance, slices_.at(instance.id));
  if (!slice || !instance.any_free_lane()) {
    return std::nullopt;
  }
  Ripe ripe = size_or_delay(queue, now);
  if (ripe.batch.requests == 0) {
    ripe.batch = take(queue, instance.max_rows());
    const std::size_t bucket = instance.bucket_for(ripe.batch.rows);
    const std::size_t group = view.device.slice(*slice).group;
    const bool bound = queue.head().deadline != kNever && instance.table.known();
    const TimePoint latest =
        bound ? queue.head().deadline - view.predicted(queue, bucket, group) - instance.table.margin() : kNever;
    if (latest > now) {
      out.wake_up = std::min({out.wake_up, ripe.wake_up, latest});
      return std::nullopt;
    }
  }
  const Taken batch =
      largest_in_time(view, queue, ripe.batch, view.device.slice(*slice).group, view.device.start_on(*slice, now));
  return as_decision(view, queue, batch, *slice);
}

void Fixed::assign(const View& view, Decisions& out) {
  std::vector<InstanceId> up;
  for (const auto& instance : view.instances) {
    up.push_back(instance->id);
  }
  std::sort(up.begin(), up.end());
  if (up == assigned_) {
    return;
  }
  assigned_ = up;
  slices_.clear();
  load_.assign(view.device.shape().atoms(), 0.0);
  std::vector<std::pair<double, const Instance*>> wishes;
  for (const auto& instance : view.instances) {
    wishes.emplace_back(share_of(view, *instance), instance.get());
  }
  // Those first that have no choice.
  std::sort(wishes.begin(), wishes.end(), [](const auto& a, const auto& b) {
    const auto order = [](const auto& wish) {
      return std::tuple(!wish.second->only_slice.has_value(), -wish.first, wish.second->id);
    };
    return order(a) < order(b);
  });
  for (const auto& [share, instance] : wishes) {
    const double atoms = share * view.device.shape().atoms();
    const std::size_t place = instance->only_slice
                                  ? *instance->only_slice
                                  : emptiest(view, static_cast<std::uint16_t>(std::max(1.0, atoms + 1e-9)));
    const Slice slice = view.device.slice(place).slice;
    for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
      load_[atom] += atoms / slice.count;
    }
    slices_[instance->id] = place;
    out.wanted_homes.push_back({instance->id, slice});
  }
}

double Fixed::share_of(const View& view, const Instance& instance) const {
  if (const auto found = shares_.find(instance.params->name); found != shares_.end()) {
    return found->second;
  }
  double left = 1.0;
  int without = 0;
  for (const auto& other : view.instances) {
    const auto found = shares_.find(other->params->name);
    left -= found == shares_.end() ? 0.0 : found->second;
    without += found == shares_.end() ? 1 : 0;
  }
  return std::max(0.0, left) / without;
}

// The largest slice of at most `atoms` atoms, where least is placed so far.
std::size_t Fixed::emptiest(const View& view, std::uint16_t atoms) const {
  std::size_t best = 0;
  std::pair<int, double> best_rank{0, 0.0};
  for (std::size_t index = 0; index < view.device.slices().size(); ++index) {
    const Slice slice = view.device.slice(index).slice;
    if (slice.count > atoms) {
      continue;
    }
    double load = 0;
    for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
      load = std::max(load, load_[atom]);
    }
    const std::pair<int, double> rank{-slice.count, load};
    if (best_rank.first == 0 || rank < best_rank) {
      best = index;
      best_rank = rank;
    }
  }
  return best;
}

Result<double> parse_share(const std::string& key, const std::string& text) {
  double share = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), share);
  if (error != std::errc() || end != text.data() + text.size() || !(share > 0.0 && share <= 1.0)) {
    return invalid_argument("policy fixed: '" + key + "=" + text + "' is not a share between 0 and 1");
  }
  return share;
}

std::string text_of(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", share);
  return text.data();
}

}  // namespace

Result<std::unique_ptr<Policy>> make_fixed(const PolicyOptions& options) {
  constexpr std::string_view kPrefix = "share.";
  std::map<std::string, double> shares;
  double sum = 0;
  for (const auto& [key, value] : options) {
    if (!key.starts_with(kPrefix) || key.size() == kPrefix.size()) {
      return invalid_argument("policy fixed: unknown option '" + key + "'; known is share.MODEL=FRACTION");
    }
    TESSERA_ASSIGN_OR_RETURN(const double share, parse_share(key, value));
    shares[key.substr(kPrefix.size())] = share;
    sum += share;
  }
  if (sum > 1.0 + 1e-9) {
    std::string named;
    for (const auto& [model, share] : shares) {
      named += (named.empty() ? "" : ", ") + ("'" + model + "' ") + text_of(share);
    }
    return invalid_argument("policy fixed: shares add up to " + text_of(sum) + ", more than 1: " + named);
  }
  return std::unique_ptr<Policy>(std::make_unique<Fixed>(std::move(shares)));
}

}  // namespace tessera::sched
