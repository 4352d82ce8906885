// Each thing that a journal holds, member by member, for whoever writes, reads or prints it.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "sched/journal.h"

namespace tessera::sched::journal {

// ---- Bytes ----

class Writer {
 public:
  static constexpr bool kReads = false;
  explicit Writer(std::string& out) : out_(out) {}

  void whole(std::uint64_t value) {
    while (value >= 0x80U) {
      out_.push_back(static_cast<char>(value | 0x80U));
      value >>= 7U;
    }
    out_.push_back(static_cast<char>(value));
  }
  void raw(const char* bytes, std::size_t count) { out_.append(bytes, count); }

 private:
  std::string& out_;
};

// After the first mistake everything reads as zero.
class Reader {
 public:
  static constexpr bool kReads = true;
  explicit Reader(std::string_view in) : in_(in) {}

  std::uint64_t whole() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ == in_.size()) break;
      const auto byte = static_cast<unsigned char>(in_[at_++]);
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80U) return value;
    }
    fail();
    return 0;
  }
  std::string_view raw(std::size_t count) {
    if (count > in_.size() - at_) {
      fail();
      return {};
    }
    at_ += count;
    return in_.substr(at_ - count, count);
  }
  // Of things of which each takes a byte at least.
  std::size_t count() {
    const std::uint64_t many = whole();
    if (many > in_.size() - at_) {
      fail();
      return 0;
    }
    return static_cast<std::size_t>(many);
  }
  void fail() {
    bad_ = true;
    at_ = in_.size();
  }
  bool good() const { return !bad_; }
  bool at_end() const { return at_ == in_.size(); }
  std::size_t at() const { return at_; }

 private:
  std::string_view in_;
  std::size_t at_ = 0;
  bool bad_ = false;
};

// One line for people. What is long is cut off.
class Printer {
 public:
  static constexpr bool kReads = false;
  explicit Printer(std::string& out) : out_(out) {}

  void print(const std::string& text) {
    if (out_.size() < kLongest) out_ += (out_.empty() || out_.back() == '(' ? "" : ", ") + text;
  }
  void whole(std::uint64_t count) { print(std::to_string(count) + ":"); }

 private:
  static constexpr std::size_t kLongest = 300;
  std::string& out_;
};

// ---- Kinds of values ----

template <typename T, typename Of>
concept Like = std::same_as<std::remove_const_t<T>, Of>;

template <typename T>
struct IsId : std::false_type {};
template <typename Tag, typename Rep>
struct IsId<Id<Tag, Rep>> : std::true_type {};
template <typename T, template <typename...> class Of>
struct IsOf : std::false_type {};
template <template <typename...> class Of, typename... Parts>
struct IsOf<Of<Parts...>, Of> : std::true_type {};

template <typename E>
constexpr E kLast = E{};
template <>
constexpr SloPolicy kLast<SloPolicy> = SloPolicy::kBestEffort;
template <>
constexpr TimeoutAction kLast<TimeoutAction> = TimeoutAction::kDelay;
template <>
constexpr RejectReason kLast<RejectReason> = RejectReason::kDeviceDown;

template <typename A, typename T>
void number(A& archive, T& value) {
  using Plain = std::remove_const_t<T>;
  if constexpr (A::kReads) {
    const std::uint64_t read = archive.whole();
    if constexpr (std::is_signed_v<Plain>) {
      const auto signed_value = static_cast<std::int64_t>((read >> 1U) ^ (~(read & 1U) + 1U));
      if (signed_value < std::numeric_limits<Plain>::min() || signed_value > std::numeric_limits<Plain>::max()) {
        archive.fail();
      }
      value = static_cast<Plain>(signed_value);
    } else {
      if (read > std::numeric_limits<Plain>::max()) archive.fail();
      value = static_cast<Plain>(read);
    }
  } else if constexpr (std::is_signed_v<Plain>) {
    const auto wide = static_cast<std::int64_t>(value);
    archive.whole((static_cast<std::uint64_t>(wide) << 1U) ^ static_cast<std::uint64_t>(wide >> 63U));
  } else {
    archive.whole(value);
  }
}

template <typename A, typename T>
void real(A& archive, T& value) {
  std::array<char, sizeof(double)> bytes{};
  if constexpr (A::kReads) {
    const std::string_view read = archive.raw(bytes.size());
    if (read.size() == bytes.size()) std::memcpy(&value, read.data(), bytes.size());
  } else {
    std::memcpy(bytes.data(), &value, bytes.size());
    archive.raw(bytes.data(), bytes.size());
  }
}

template <typename A, typename T>
void text(A& archive, T& value) {
  if constexpr (A::kReads) {
    value = std::string(archive.raw(archive.count()));
  } else {
    archive.whole(value.size());
    archive.raw(value.data(), value.size());
  }
}

template <typename A, typename T>
void put(A& archive, T& value);

template <typename A, typename... T>
void all(A& archive, T&... values) {
  (put(archive, values), ...);
}

// ---- What each thing is made of ----

template <typename A, Like<Slice> T>
void members(A& a, T& v) {
  all(a, v.first, v.count);
}
template <typename A, Like<DeviceShape> T>
void members(A& a, T& v) {
  all(a, v.name, v.processors, v.ladder, v.loader, v.committed_per_atom, v.copies, v.steady);
}
template <typename A, Like<OverdueRule> T>
void members(A& a, T& v) {
  all(a, v.times, v.least, v.unpredicted);
}
template <typename A, Like<SchedulerLimits> T>
void members(A& a, T& v) {
  all(a, v.max_waiting, v.committed_per_atom, v.run_ahead, v.max_homes, v.max_homes_asked, v.overdue);
}
template <typename A, Like<QueuePolicy> T>
void members(A& a, T& v) {
  all(a, v.max_queue_size, v.default_timeout, v.timeout_action);
}
template <typename A, Like<LiveParams> T>
void members(A& a, T& v) {
  all(a, v.slo, v.slo_policy, v.weight, v.reserved_share, v.reserved_lend, v.max_share);
}
template <typename A, Like<ModelParams> T>
void members(A& a, T& v) {
  members<A, std::conditional_t<std::is_const_v<T>, const LiveParams, LiveParams>>(a, v);
  all(a, v.name, v.max_batch_size, v.buckets, v.lanes, v.dynamic_batching, v.max_queue_delay, v.preferred_batch_sizes,
      v.preserve_ordering, v.priority_levels, v.default_priority, v.default_queue_policy, v.queue_policies);
}

template <typename A, Like<Arrival> T>
void members(A& a, T& v) {
  all(a, v.request, v.instance, v.shape, v.rows, v.priority, v.arrival, v.timeout, v.poster_atom, v.input_ready);
}
template <typename A, Like<InputReady> T>
void members(A& a, T& v) {
  all(a, v.request, v.predicted_end);
}
template <typename A, Like<LaunchEnded> T>
void members(A& a, T& v) {
  all(a, v.launch, v.ok, v.ran, v.started, v.ended, v.blur);
}
template <typename A, Like<TimerFired> T>
void members(A& /*a*/, T& /*v*/) {}
template <typename A, Like<Cancelled> T>
void members(A& a, T& v) {
  all(a, v.request);
}
template <typename A, Like<ModelUp> T>
void members(A& a, T& v) {
  all(a, v.instance, v.params, v.profile, v.lazy_homes, v.all_buckets, v.shapes_vary, v.only_slice, v.base_shape);
}
template <typename A, Like<ModelDown> T>
void members(A& a, T& v) {
  all(a, v.instance);
}
template <typename A, Like<SliceReady> T>
void members(A& a, T& v) {
  all(a, v.instance, v.slice, v.bucket, v.lane);
}
template <typename A, Like<HomeFailed> T>
void members(A& a, T& v) {
  all(a, v.instance, v.bucket, v.lane, v.slice, v.for_good);
}
template <typename A, Like<BucketsEnd> T>
void members(A& a, T& v) {
  all(a, v.instance);
}
template <typename A, Like<Measured> T>
void members(A& a, T& v) {
  all(a, v.instance, v.bucket, v.slice, v.took);
}
template <typename A, Like<LoaderWants> T>
void members(A& a, T& v) {
  all(a, v.slice, v.expected);
}
template <typename A, Like<LoaderDone> T>
void members(A& /*a*/, T& /*v*/) {}
template <typename A, typename T>
requires Like<T, LaneWanted> || Like<T, LaneDone> || Like<T, GrantLane>
void members(A& a, T& v) { all(a, v.instance, v.lane); }
template <typename A, Like<DeviceDown> T>
void members(A& /*a*/, T& /*v*/) {}
template <typename A, Like<ParamsChanged> T>
void members(A& a, T& v) {
  all(a, v.instance, v.params);
}
template <typename A, Like<PolicyChanged> T>
void members(A& a, T& v) {
  all(a, v.policy);
}

template <typename A, Like<StartLaunch> T>
void members(A& a, T& v) {
  all(a, v.launch, v.instance, v.requests, v.rows, v.bucket, v.lane, v.slice, v.predicted, v.after_lane_only);
}
template <typename A, Like<Reject> T>
void members(A& a, T& v) {
  all(a, v.request, v.reason, v.retry_after);
}
template <typename A, Like<SetTimer> T>
void members(A& a, T& v) {
  all(a, v.at);
}
template <typename A, typename T>
requires Like<T, PrepareHome> || Like<T, DropHome>
void members(A& a, T& v) { all(a, v.instance, v.bucket, v.lane, v.slice); }
template <typename A, Like<GrantLoader> T>
void members(A& /*a*/, T& /*v*/) {}
template <typename A, Like<InstanceDrained> T>
void members(A& a, T& v) {
  all(a, v.instance);
}
template <typename A, Like<LaunchStuck> T>
void members(A& a, T& v) {
  all(a, v.launch, v.ran, v.behind);
}
template <typename A, Like<StuckEnded> T>
void members(A& a, T& v) {
  all(a, v.launch, v.instance);
}

template <typename A, Like<JournalDevice> T>
void members(A& a, T& v) {
  all(a, v.number, v.policy, v.shape, v.limits);
}
template <typename A, Like<JournalStep> T>
void members(A& a, T& v) {
  all(a, v.device, v.at, v.event, v.actions);
}
template <typename A, Like<JournalEnd> T>
void members(A& a, T& v) {
  all(a, v.why);
}

// ---- Any of them ----

template <std::size_t I = 0, typename A, typename... Kinds>
void read_kind(A& archive, std::size_t kind, std::variant<Kinds...>& value) {
  if constexpr (I == sizeof...(Kinds)) {
    archive.fail();
  } else if (kind == I) {
    put(archive, value.template emplace<I>());
  } else {
    read_kind<I + 1>(archive, kind, value);
  }
}

template <typename A, typename T>
void variant(A& archive, T& value) {
  if constexpr (A::kReads) {
    read_kind(archive, static_cast<std::size_t>(archive.whole()), value);
  } else {
    archive.whole(value.index());
    std::visit([&archive](auto& one) { put(archive, one); }, value);
  }
}

// Of a vector or a map.
template <typename A, typename T>
void many(A& archive, T& value) {
  if constexpr (!A::kReads) {
    archive.whole(value.size());
    for (auto& one : value) put(archive, one);
  } else if constexpr (IsOf<T, std::map>::value) {
    for (std::size_t left = archive.count(); left > 0 && archive.good(); --left) {
      std::pair<typename T::key_type, typename T::mapped_type> one;
      put(archive, one);
      value.insert(std::move(one));
    }
  } else {
    for (std::size_t left = archive.count(); left > 0 && archive.good(); --left) put(archive, value.emplace_back());
  }
}

template <typename A, typename T>
void optional(A& archive, T& value) {
  if constexpr (A::kReads) {
    bool there = false;
    put(archive, there);
    if (there) put(archive, value.emplace());
  } else {
    const bool there = value.has_value();
    put(archive, there);
    if (there) put(archive, *value);
  }
}

template <typename A, typename T>
void put(A& archive, T& value) {
  using Plain = std::remove_const_t<T>;
  if constexpr (std::is_same_v<A, Printer> && std::is_arithmetic_v<Plain>) {
    archive.print(std::to_string(value));
  } else if constexpr (std::is_same_v<A, Printer> && std::is_same_v<Plain, std::string>) {
    archive.print("'" + value + "'");
  } else if constexpr (std::is_same_v<Plain, bool>) {
    auto byte = static_cast<std::uint8_t>(value ? 1 : 0);
    number(archive, byte);
    if constexpr (A::kReads) value = byte != 0;
  } else if constexpr (std::is_enum_v<Plain>) {
    auto place = static_cast<std::uint32_t>(value);
    put(archive, place);
    if constexpr (A::kReads) {
      if (place > static_cast<std::uint32_t>(kLast<Plain>)) archive.fail();
      value = archive.good() ? static_cast<Plain>(place) : Plain{};
    }
  } else if constexpr (std::is_integral_v<Plain>) {
    number(archive, value);
  } else if constexpr (std::is_floating_point_v<Plain>) {
    real(archive, value);
  } else if constexpr (std::is_same_v<Plain, std::string>) {
    text(archive, value);
  } else if constexpr (std::is_same_v<Plain, Duration>) {
    auto count = value.count();
    put(archive, count);
    if constexpr (A::kReads) value = Duration(count);
  } else if constexpr (std::is_same_v<Plain, TimePoint>) {
    auto since = value.time_since_epoch();
    put(archive, since);
    if constexpr (A::kReads) value = TimePoint(since);
  } else if constexpr (IsId<Plain>::value) {
    put(archive, value.value);
  } else if constexpr (IsOf<Plain, std::optional>::value) {
    optional(archive, value);
  } else if constexpr (IsOf<Plain, std::vector>::value || IsOf<Plain, std::map>::value) {
    many(archive, value);
  } else if constexpr (IsOf<Plain, std::pair>::value) {
    all(archive, value.first, value.second);
  } else if constexpr (IsOf<Plain, std::variant>::value) {
    variant(archive, value);
  } else if constexpr (std::is_same_v<Plain, std::shared_ptr<const ModelParams>>) {
    if constexpr (A::kReads) {
      auto params = std::make_shared<ModelParams>();
      put(archive, *params);
      value = std::move(params);
    } else {
      put(archive, *value);
    }
  } else if constexpr (std::is_same_v<Plain, Profile>) {
    Profile::members(archive, value);
  } else {
    members(archive, value);
  }
}

}  // namespace tessera::sched::journal

namespace tessera::sched {

template <typename Archive, typename Self>
void Profile::members(Archive& a, Self& self) {
  const auto cell_members = [&a](auto& cell) {
    journal::all(a, cell.latency_ns, cell.prior_ns, cell.published_ns, cell.observations, cell.streak,
                 cell.predicted_ns, cell.predicted_version);
  };
  if constexpr (Archive::kReads) {
    for (std::size_t left = a.count(); left > 0 && a.good(); --left) {
      Key key;
      journal::put(a, key);
      if (!self.cells_.empty() && key <= self.cells_.back().first) a.fail();
      cell_members(self.cells_.emplace_back(key, Cell{}).second);
    }
  } else {
    a.whole(self.cells_.size());
    for (const auto& [key, cell] : self.cells_) {
      journal::put(a, key);
      cell_members(cell);
    }
  }
  journal::all(a, self.buckets_, self.errors_ns_, self.next_error_, self.scale_, self.variance_, self.steady_,
               self.observations_, self.version_, self.margin_);
  if constexpr (Archive::kReads) {
    if (self.errors_ns_.size() > kErrors || self.next_error_ > self.errors_ns_.size()) a.fail();
  }
}

}  // namespace tessera::sched
