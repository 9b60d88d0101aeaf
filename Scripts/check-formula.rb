#!/usr/bin/env ruby
# frozen_string_literal: true

# Reads Packaging/homebrew/mesh-events.rb without brew: its methods are stand-ins that do what Homebrew's guide says of them.
# A method that is not here is an error, so a misspelt one is found. Runs `install`, into a directory of its own, and the test.
# What brew itself asks for, such as the style of its audit, is not tried.
require "English"
require "fileutils"
require "open3"
require "pathname"
require "socket"
require "tmpdir"

Dir.chdir(File.expand_path("..", __dir__))
FORMULA = "Packaging/homebrew/mesh-events.rb"

# Counts what holds, and ends the program at the first thing that does not.
module Checks
  @passed = 0

  def self.check(holds, text, details = nil)
    abort "check-formula: not so: #{text}\n#{details}" unless holds
    @passed += 1
    puts "check-formula: #{text}"
  end

  def self.done = puts("check-formula: #{@passed} passed, 0 failed")
end

# Homebrew's class, as far as the formula uses it.
class Formula
  SAID = {}
  BLOCKS = {}

  class << self
    %i[desc homepage license].each { |name| define_method(name) { |text| SAID[name] = text } }
    %i[url head].each { |name| define_method(name) { |address, **more| SAID[name] = [address, more] } }
    %i[service test].each { |name| define_method(name) { |&block| BLOCKS[name] = block } }
    def depends_on(what) = (SAID[:needs] ||= []) << what
    def uses_from_macos(what) = (SAID[:tools] ||= []) << what
    def on_macos = yield
  end

  include FileUtils

  attr_reader :prefix

  def initialize(place)
    @prefix = Pathname(place) / "Cellar/mesh-events"
    @root = Pathname(place)
  end

  def bin = prefix / "bin"
  def lib = prefix / "lib"
  def opt_bin = @root / "opt/mesh-events/bin"
  def etc = @root / "etc"
  def var = @root / "var"
  def version = SAID[:url][1][:tag].delete_prefix("v")
  def build = Struct.new(:head?).new(false)

  def system(*command)
    Kernel.system(*command.map(&:to_s)) || raise("#{command.join(" ")}: #{$CHILD_STATUS}")
  end

  def quiet_system(*command) = Kernel.system(*command.map(&:to_s), out: File::NULL, err: File::NULL)
  def spawn(*command, **more) = Process.spawn(*command.map(&:to_s), **more)

  def shell_output(command)
    output, status = Open3.capture2(command)
    raise "#{command}: #{status}" unless status.success?

    output
  end

  def free_port
    server = TCPServer.new("127.0.0.1", 0)
    server.addr[1].tap { server.close }
  end

  def assert_equal(expected, found) = (expected == found || raise("#{expected.inspect} is not #{found.inspect}"))
  def assert_match(expected, found) = (found.include?(expected) || raise("#{expected} is not in #{found}"))
  def assert_predicate(value, name) = (value.public_send(name) || raise("#{value} is not #{name}"))
end

# The block of a service.
class Service
  attr_reader :said

  def initialize(formula)
    @formula = formula
    @said = {}
  end

  %i[etc var bin opt_bin].each { |name| define_method(name) { @formula.public_send(name) } }
  %i[run working_dir log_path error_log_path].each { |name| define_method(name) { |what| @said[name] = what } }
  %i[keep_alive environment_variables].each { |name| define_method(name) { |**what| @said[name] = what } }
  def std_service_path_env = "/usr/bin:/bin:/usr/sbin:/sbin"
end

Checks.check(Kernel.system("ruby", "-wc", FORMULA, out: File::NULL), "ruby reads it without a warning")
load FORMULA
current = File.read("Sources/NATSClient/Version.swift")[/current = "([^"]+)"/, 1]
Checks.check(Formula::SAID[:url][1][:tag] == "v#{current}", "it is for the version of the package, #{current}")
tools = File.read("Package.swift")[/swift-tools-version: (\S+)/, 1]
# Xcode 26.0 has Swift 6.2.
Checks.check(tools == "6.2" && Formula::SAID[:needs].include?({ xcode: ["26.0", :build] }), "it asks for a Swift that reads the manifest")
Checks.check(Formula::SAID[:license] == "MIT" && Formula::SAID[:needs].include?("nats-server"), "it says licence and server")

Dir.mktmpdir("mesh-events-formula") do |place|
  formula = MeshEvents.new(place)
  formula.install
  share = formula.prefix / "share"
  wanted = [formula.bin / "mesh-events", share / "man/man1/mesh-events.1", share / "zsh/site-functions/_mesh-events",
            share / "fish/vendor_completions.d/mesh-events.fish", share / "bash-completion/completions/mesh-events"]
  Checks.check(wanted.all?(&:exist?) && !(formula.lib / "systemd").exist?, "it installs program, manual and completions", wanted)
  service = Service.new(formula)
  service.instance_eval(&Formula::BLOCKS[:service])
  said = service.said
  Checks.check(said[:run] == [formula.opt_bin / "mesh-events", "serve"] && said[:working_dir].directory? && said[:log_path].dirname.directory?,
               "its service runs a node, in a directory that is there", said)
  Checks.check(formula.caveats.include?("brew services stop nats-server"), "it says what the port is needed for")
  Dir.mkdir("#{place}/test")
  ENV["HOME"] = "#{place}/test"
  Dir.chdir("#{place}/test") { formula.instance_eval(&Formula::BLOCKS[:test]) }
  Checks.check(true, "its test passes")
end
Checks.done
