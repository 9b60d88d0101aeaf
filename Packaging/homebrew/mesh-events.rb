# A formula for Homebrew that builds from source. It has not been built by `brew`: make check-formula reads it and runs its parts
# with stand-ins. In a tap of your own: brew tap-new you/tap, copy it into its Formula, brew install you/tap/mesh-events.
class MeshEvents < Formula
  desc "Events of a mesh of machines and tools, over NATS"
  homepage "https://github.com/mesh-events/mesh-events"
  url "https://github.com/mesh-events/mesh-events.git", tag: "v0.2.0"
  license "MIT"
  head "https://github.com/mesh-events/mesh-events.git", branch: "main"

  # Package.swift says swift-tools-version 6.2.
  depends_on xcode: ["26.0", :build]
  # Without a URL a node runs a server of its own.
  depends_on "nats-server"

  uses_from_macos "swift" => :build

  on_macos do
    depends_on macos: :sequoia
  end

  def install
    ENV["PREFIX"] = prefix.to_s
    # Homebrew has a sandbox already, in which SwiftPM cannot make its own.
    ENV["SWIFT_BUILD_FLAGS"] = "--disable-sandbox"
    system "Scripts/install.sh", "install"
    # A unit with this prefix is no use: `brew services` writes one from the block below.
    rm_r lib/"systemd" if (lib/"systemd").exist?
    (etc/"mesh-events").mkpath
    (var/"lib/mesh-events").mkpath
    (var/"log").mkpath
  end

  def caveats
    <<~EOS
      `brew services start mesh-events` runs a node, with a nats-server of its own on port 4222. One that
      `brew services` runs itself has to give way: brew services stop nats-server
      The tools that the node runs are those of #{etc}/mesh-events/mesh.yaml, if there is one.
    EOS
  end

  service do
    run [opt_bin/"mesh-events", "serve"]
    keep_alive successful_exit: false
    working_dir etc/"mesh-events"
    log_path var/"log/mesh-events.log"
    error_log_path var/"log/mesh-events.log"
    environment_variables PATH: std_service_path_env, XDG_DATA_HOME: var/"lib", XDG_STATE_HOME: var/"lib"
  end

  test do
    assert_equal version.to_s, shell_output("#{bin}/mesh-events --version").strip unless build.head?

    port = free_port
    node = spawn bin/"mesh-events", "serve", "--port", port.to_s, "--node", "brew", "--for", "60s", out: "out", err: "out"
    begin
      ENV["JB_NATS_URL"] = "nats://127.0.0.1:#{port}"
      # Its server takes a moment.
      30.times do
        break if quiet_system bin/"mesh-events", "wait-for", "node.joined", "--since", "1m", "--timeout", "1s"

        sleep 1
      end
      system bin/"mesh-events", "emit", "user.checked", "by=brew", "--ack"
      assert_match '"by":"brew"', shell_output("#{bin}/mesh-events list user.checked --json")
    ensure
      Process.kill "TERM", node
      Process.wait node
    end
    assert_predicate $CHILD_STATUS, :success?
  end
end
