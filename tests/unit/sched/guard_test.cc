// What the guard of policy tessera promises, asked of random lives: a run that cannot be interrupted never takes from a
// model with an objective the last slice in which a request that arrived now would be in time.
#include <gtest/gtest.h>

#include "sched/view.h"
#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

struct Seen {
  int launches = 0;  // that the guard had to let through
  int loans = 0;     // likewise
  int guarded = 0;   // models that were looked at for these, in all
  int kept_out = 0;  // of these, such as some other slice or a longer run would have kept out
};

// Looks at what a policy decides, before it is carried out. Works out for itself, from when each atom is free, what
// that leaves to the others.
class Watch final : public sched::Policy {
 public:
  Watch(std::unique_ptr<sched::Policy> watched, Seen& seen) : watched_(std::move(watched)), seen_(seen) {}

  std::string_view name() const override { return watched_->name(); }
  bool heeds_shares() const override { return watched_->heeds_shares(); }
  bool waits_for_lanes_alone() const override { return watched_->waits_for_lanes_alone(); }
  bool uses_all_slices() const override { return watched_->uses_all_slices(); }
  std::vector<std::string> named_models() const override { return watched_->named_models(); }

  void decide(const sched::View& view, TimePoint now, sched::Decisions& out) override {
    watched_->decide(view, now, out);
    for (const sched::BatchDecision& launch : out.launches) {
      const sched::Instance& its = instance(view, launch.instance);
      // With neither objective nor floor nothing is ever due: whatever starts, the guard let start.
      if (its.params->slo || its.params->reserved_share > 0 || !its.table.known()) {
        continue;
      }
      ++seen_.launches;
      const std::size_t index = *view.device.index_of(launch.slice);
      const auto& queue = *its.queues.at(launch.shape);
      const std::size_t group = view.device.slice(index).group;
      const Duration run = sched::View::scaled(view.predicted(queue, its.place_of(launch.bucket), group),
                                               view.beside(its, group, view.device.busy_beside(index)));
      expect_room(view, now, launch.slice, view.device.start_on(index, now) + run);
    }
  }

  bool may_lend(const sched::View& view, TimePoint now, const Slice& slice, Duration expected) override {
    const bool lent = watched_->may_lend(view, now, slice, expected);
    if (lent) {
      ++seen_.loans;
      expect_room(view, now, slice, now + expected);
    }
    return lent;
  }

 private:
  static const sched::Instance& instance(const sched::View& view, InstanceId id) {
    const auto found = std::find_if(view.instances.begin(), view.instances.end(),
                                    [&](const auto& instance) { return instance->id == id; });
    return **found;
  }

  struct Prospect {
    bool in_time = false;
    TimePoint ends = kNever;  // at the soonest, of a request that arrives now
  };

  // Of one request of that model, where `taken` is in use until then.
  static Prospect prospect(const sched::View& view, const sched::Instance& instance, TimePoint now, const Slice& taken,
                           TimePoint until) {
    Prospect prospect;
    for (std::size_t index = 0; index < view.device.slices().size(); ++index) {
      const sched::Occupancy::SliceState& state = view.device.slice(index);
      if (state.blocked) {
        continue;
      }
      TimePoint start = now;
      for (std::uint16_t atom = state.slice.first; atom < state.slice.end(); ++atom) {
        start = std::max({start, view.device.atom_free_at(atom), taken.contains(atom) ? until : now});
      }
      const Duration slo = *instance.params->slo;
      const Duration run = instance.table.at(0, state.group);
      // What is learned of how much longer runs take; at most half of what the objective leaves.
      const Duration margin = std::clamp(instance.table.margin(), Duration{0}, std::max(Duration{0}, (slo - run) / 2));
      prospect.in_time = prospect.in_time || start + run + margin <= now + slo;
      prospect.ends = std::min(prospect.ends, start + run);
    }
    return prospect;
  }

  void expect_room(const sched::View& view, TimePoint now, const Slice& taken, TimePoint until) {
    for (const auto& instance : view.instances) {
      const bool called = instance->last_arrival != TimePoint::min() && now - instance->last_arrival < 4s;
      if (!instance->params->slo || !called || !instance->table.known()) {
        continue;
      }
      const Prospect without = prospect(view, *instance, now, {}, now);
      const Prospect with = prospect(view, *instance, now, taken, until);
      ++seen_.guarded;
      // Who could not be in time anyway, or not even on an idle device, loses nothing by it.
      EXPECT_TRUE(with.in_time || with.ends <= without.ends || !could_ever(view, *instance))
          << instance->params->name << " would end " << (with.ends - without.ends).count() << " ns later, at "
          << now.time_since_epoch().count();
      seen_.kept_out += prospect(view, *instance, now, view.device.shape().whole(), now + 10s).in_time ? 0 : 1;
    }
  }

  static bool could_ever(const sched::View& view, const sched::Instance& instance) {
    for (std::size_t group = 0; group < view.device.groups(); ++group) {
      const Duration run = instance.table.at(0, group);
      const Duration slack = *instance.params->slo - run;
      if (slack >= std::clamp(instance.table.margin(), Duration{0}, std::max(Duration{0}, slack / 2))) {
        return true;
      }
    }
    return false;
  }

  std::unique_ptr<sched::Policy> watched_;
  Seen& seen_;
};

// Models with objectives and models with none, at loads from next to nothing to more than fits.
void live(std::uint64_t seed, Seen& seen) {
  std::mt19937_64 random(seed);
  const auto pick = [&](std::uint64_t below) { return random() % below; };
  constexpr std::uint16_t kAtoms[] = {1, 2, 3, 4, 8, 16};
  const std::uint16_t atoms = kAtoms[pick(6)];
  World::Options options = World::with_policy("tessera");
  options.seed = seed;
  options.noise = pick(2) == 0 ? 0.0 : 0.2;
  options.limits.committed_per_atom = static_cast<std::uint16_t>(pick(2));
  options.home_everything = pick(3) > 0;
  options.watched_by = [&](std::unique_ptr<sched::Policy> named) {
    return std::make_unique<Watch>(std::move(named), seen);
  };
  World w(device_of(atoms), options);
  for (std::uint64_t i = 0, n = 2 + pick(5); i < n; ++i) {
    auto params = model("m" + std::to_string(i), static_cast<std::int32_t>(1 + pick(8)));
    params.lanes = static_cast<std::uint16_t>(1 + pick(4));
    const Truth truth{.fixed = std::chrono::microseconds(pick(2000)),
                      .per_row = std::chrono::microseconds(100 + pick(10'000))};
    if (i % 2 == 0) {
      params.slo = 2 * truth(1, atoms) + std::chrono::microseconds(pick(60'000));
      params.slo_policy = pick(2) == 0 ? sched::SloPolicy::kReject : sched::SloPolicy::kBestEffort;
    }
    const InstanceId id = w.add_model(params, truth, pick(4) > 0);
    // The part of the device that its requests take one by one, of all models together up to 1.5.
    const double load = 0.02 + 0.01 * static_cast<double>(pick(150)) / static_cast<double>(n);
    w.poisson(id, load * atoms / std::chrono::duration<double>(truth(1, 1)).count(), at(1s), seed * 100 + i);
  }
  w.later(at(std::chrono::milliseconds(pick(800))), [&w, atoms, expected = std::chrono::milliseconds(pick(50))] {
    w.wanted_loader_slice = loader_slice(atoms);
    w.send(sched::LoaderWants{*w.wanted_loader_slice, expected});
  });
  w.later(at(2500ms), [&w] { w.loader_done(); });
  w.run_to_rest();
  w.expect_all_ended();
}

TEST(GuardProperty, NoRunThatItLetsBeginTakesTheLastChanceOfWhoeverMayCome) {
  Seen seen;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    live(seed, seen);
    if (::testing::Test::HasFailure()) {
      return;
    }
  }
  EXPECT_GT(seen.launches, 10'000);
  EXPECT_GT(seen.loans, 20);
  EXPECT_GT(seen.guarded, seen.launches);
  EXPECT_GT(seen.kept_out, 10'000) << "objectives so wide that nothing can hurt them prove nothing";
}

}  // namespace
}  // namespace tessera::testing
